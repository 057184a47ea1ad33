"""Data sets from CSV and Parquet files."""
