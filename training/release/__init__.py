"""From a fitted network to a published version: evaluate, export, check, quantize, publish."""
