"""The audit: does what is published keep PRIVACY's promise? See docs/PRIVACY-AUDIT.md for what it covers.

``audit_rule`` judges the release rule itself: every small data set, and whole simulated days; ``audit_tables`` those of
tables. ``audit_store`` judges what a store holds; ``settings_of`` and ``table_settings_of`` tell with which k and guard
its runs were made. The audits return a ``Report``: findings (one line each, no value of an event), what was checked,
and counts.
"""

from hitonami.audit.report import Report
from hitonami.audit.rule_audit import audit_rule
from hitonami.audit.rules import Published, Rule
from hitonami.audit.store_audit import audit_store, settings_of, table_settings_of
from hitonami.audit.table_audit import audit_tables
from hitonami.audit.table_rules import TableRule

__all__ = [
    "Published",
    "Report",
    "Rule",
    "TableRule",
    "audit_rule",
    "audit_store",
    "audit_tables",
    "settings_of",
    "table_settings_of",
]
