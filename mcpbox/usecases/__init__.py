"""What a face may ask for, one module per noun; the faces differ only in manners."""
