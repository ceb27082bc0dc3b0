"""Tables of single features, beside those of `models`, which nearly everything uses."""
