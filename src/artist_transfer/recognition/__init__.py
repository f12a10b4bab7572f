"""Systems that recognise artists: UBM and i-vectors of frames, PLDA, scoring, calibration and fusion."""
