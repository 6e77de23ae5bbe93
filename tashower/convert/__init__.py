"""Files of experiments, read into and written from the event model. One module per format."""
