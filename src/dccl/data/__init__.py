"""Raw files become checked columns, compact arrays, splits and fixed negatives."""
