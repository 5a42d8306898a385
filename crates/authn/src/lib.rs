//! Family: auth methods, their fields and their login check.
