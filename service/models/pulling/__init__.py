"""Copies models from elsewhere into a models folder: each version whole, verified, in one step."""
