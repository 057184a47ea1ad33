"""Capacity on paper: pods, money and lag for given loads, from measured costs and a simulated autoscaler."""
