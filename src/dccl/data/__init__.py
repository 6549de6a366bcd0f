"""Raw files to checked columns to compact arrays to splits and negatives; and a synthetic world."""
