"""Table 5 of the paper in small: what MAE, PKT and IRM do to a tiny model, end to end, with intervals over seeds and examples."""
