"""Is everything in order? `examine` looks; what fails is a finding, never an exception."""

from facecli.doctor.examine import examine
from facecli.doctor.findings import Diagnosis, Finding, Part, Verdict

__all__ = ["Diagnosis", "Finding", "Part", "Verdict", "examine"]
