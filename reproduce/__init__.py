"""The paper's tables and figures with the real models and data: one script each, beside what is printed in the paper."""
