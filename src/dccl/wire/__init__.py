"""What crosses the network or lies on disk: errors, files, arrays, result records."""
