"""Tables of your own, CSV or Parquet."""
