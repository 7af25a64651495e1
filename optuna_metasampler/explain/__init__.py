"""Records of trials, analyses of the model, reports, plots and the dashboard."""
