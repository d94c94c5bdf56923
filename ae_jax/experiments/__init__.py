"""Build, train and open runs: configs, experiments, run directories, training and analysis."""
