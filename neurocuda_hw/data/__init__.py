"""What drives a network: data sets, event recordings, batches, integer stimuli."""
