"""What an event is: array, hits, truth, reconstruction, and the files that hold them."""
