"""What an event is: array, hits, truth, reconstruction."""
