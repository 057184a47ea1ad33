"""The pages about the project match the code."""
