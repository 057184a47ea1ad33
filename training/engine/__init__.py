"""How a network is fitted: the loop, the gradient, losses, when to stop."""
