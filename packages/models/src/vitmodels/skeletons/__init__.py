"""The machinery that turns parts into networks; it names no paper."""
