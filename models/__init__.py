"""The nouns of Winnow and the pure functions over them. Nothing here knows Beam."""
