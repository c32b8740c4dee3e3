"""The golden set: tiny masked checkpoints made by transformers, with torch's float64 outputs."""
