"""Several machines: the only modules that import Ray, when it is asked for."""

import os

# Read by Ray when it is imported: its current interface for training, and no statistics sent to its makers.
os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")  # how long a worker may wait to report an epoch
