"""Images of your own."""
