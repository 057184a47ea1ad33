"""How a network is trained: loop, gradient, losses, early stopping."""
