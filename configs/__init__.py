"""Shipped policies, taxonomies, run files and illustrative lists, as package data."""
