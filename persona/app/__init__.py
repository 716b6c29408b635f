"""What uses a trained model: predictor, model folder, command, widget, HTML; and its release."""
