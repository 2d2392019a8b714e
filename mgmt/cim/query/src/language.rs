//! [`Language`]: the query languages and their names on the wire.

/// A query language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// DMTF:CQL (DSP0202).
    Cql,
    /// WQL, as WBEM clients and WMI tools send it.
    Wql,
    /// DMTF:FQL (DSP0212): a condition without SELECT.
    Fql,
}

impl Language {
    /// The language of a QueryLanguage parameter; `None` is QUERY_LANGUAGE_NOT_SUPPORTED. Older clients say
    /// `CIM:CQL` and `CQL` for DMTF:CQL.
    pub fn from_name(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("DMTF:CQL") || is("CIM:CQL") || is("CQL") {
            Some(Language::Cql)
        } else if is("WQL") {
            Some(Language::Wql)
        } else if is("DMTF:FQL") {
            Some(Language::Fql)
        } else {
            None
        }
    }

    /// The official name.
    pub const fn name(self) -> &'static str {
        match self {
            Language::Cql => "DMTF:CQL",
            Language::Wql => "WQL",
            Language::Fql => "DMTF:FQL",
        }
    }
}
