"""Plots of the records of trials and of the model, in Plotly and in Matplotlib."""
