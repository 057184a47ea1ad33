"""Fit a multi-layer perceptron in PyTorch and publish it for the service: `python -m training --help`."""

import torch

# Adam's moments fade into subnormal numbers, on which a processor is many times slower. Threads take the mode over from
# the one that starts them, so it is set before any work is done.
torch.set_flush_denormal(True)
