//! Types, array sizes, scopes and flavors: the vocabulary shared by syntax tree and compiled schema.

use core::fmt;

/// An intrinsic CIM type (DSP0004 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TypeName {
    /// `boolean`
    Boolean,
    /// `string`
    String,
    /// `char16`: one UTF-16 code unit
    Char16,
    /// `datetime`: time stamp or interval, 25 characters
    DateTime,
    /// `uint8`
    Uint8,
    /// `uint16`
    Uint16,
    /// `uint32`
    Uint32,
    /// `uint64`
    Uint64,
    /// `sint8`
    Sint8,
    /// `sint16`
    Sint16,
    /// `sint32`
    Sint32,
    /// `sint64`
    Sint64,
    /// `real32`
    Real32,
    /// `real64`
    Real64,
}

impl TypeName {
    /// Every type.
    pub const ALL: [Self; 14] = [
        Self::Boolean,
        Self::String,
        Self::Char16,
        Self::DateTime,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Sint8,
        Self::Sint16,
        Self::Sint32,
        Self::Sint64,
        Self::Real32,
        Self::Real64,
    ];

    /// The keyword of MOF and CIM-XML.
    #[must_use]
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Char16 => "char16",
            Self::DateTime => "datetime",
            Self::Uint8 => "uint8",
            Self::Uint16 => "uint16",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Sint8 => "sint8",
            Self::Sint16 => "sint16",
            Self::Sint32 => "sint32",
            Self::Sint64 => "sint64",
            Self::Real32 => "real32",
            Self::Real64 => "real64",
        }
    }

    /// The type of a keyword, in any case.
    #[must_use]
    pub fn from_keyword(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|ty| ty.keyword().eq_ignore_ascii_case(word))
    }

    /// The least and the greatest value, for an integer type.
    #[must_use]
    pub const fn integer_range(self) -> Option<(i128, i128)> {
        match self {
            Self::Uint8 => Some((0, u8::MAX as i128)),
            Self::Uint16 => Some((0, u16::MAX as i128)),
            Self::Uint32 => Some((0, u32::MAX as i128)),
            Self::Uint64 => Some((0, u64::MAX as i128)),
            Self::Sint8 => Some((i8::MIN as i128, i8::MAX as i128)),
            Self::Sint16 => Some((i16::MIN as i128, i16::MAX as i128)),
            Self::Sint32 => Some((i32::MIN as i128, i32::MAX as i128)),
            Self::Sint64 => Some((i64::MIN as i128, i64::MAX as i128)),
            _ => None,
        }
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.keyword())
    }
}

/// How many elements an array may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArraySize {
    /// `[]`
    Variable,
    /// `[n]`
    Fixed(u32),
}

/// The kinds of element a qualifier may stand on (DSP0004 Annex A, `metaElement`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// A class that is neither association nor indication.
    Class,
    /// An association.
    Association,
    /// An indication.
    Indication,
    /// A property.
    Property,
    /// A reference of an association.
    Reference,
    /// A method.
    Method,
    /// A parameter.
    Parameter,
}

impl Scope {
    /// Every scope, in the order DSP0201 lists them.
    pub const ALL: [Self; 7] = [
        Self::Class,
        Self::Association,
        Self::Reference,
        Self::Property,
        Self::Method,
        Self::Parameter,
        Self::Indication,
    ];

    /// The keyword of MOF.
    #[must_use]
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Association => "association",
            Self::Indication => "indication",
            Self::Property => "property",
            Self::Reference => "reference",
            Self::Method => "method",
            Self::Parameter => "parameter",
        }
    }

    const fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// A set of [`Scope`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// No scope.
    pub const NONE: Self = Self(0);
    /// `any`.
    pub const ANY: Self = Self(0x7f);

    /// The set with one more scope.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }

    /// Whether a scope is in the set.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The set as bits, `1 << Scope as u8` each.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// Whether subclasses may change a qualifier's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverrideFlavor {
    /// They may.
    Enable,
    /// They must keep it.
    Disable,
}

/// Whether subclasses inherit a qualifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They do.
    ToSubclass,
    /// They do not.
    Restricted,
}

/// Flavors as written: what is absent comes from the declaration, or from DSP0004's defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlavorSpec {
    /// `EnableOverride` or `DisableOverride`.
    pub overriding: Option<OverrideFlavor>,
    /// `ToSubclass` or `Restricted`.
    pub propagation: Option<Propagation>,
    /// `Translatable` was given.
    pub translatable: bool,
}

/// Flavors in force (DSP0004 5.1.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flavors {
    /// Whether subclasses may change the value.
    pub overriding: OverrideFlavor,
    /// Whether subclasses inherit the qualifier.
    pub propagation: Propagation,
    /// Whether the value may be translated into other languages.
    pub translatable: bool,
}

impl Default for Flavors {
    fn default() -> Self {
        Self {
            overriding: OverrideFlavor::Enable,
            propagation: Propagation::ToSubclass,
            translatable: false,
        }
    }
}

impl Flavors {
    /// These flavors, changed by what an element states.
    #[must_use]
    pub fn amended(self, spec: FlavorSpec) -> Self {
        Self {
            overriding: spec.overriding.unwrap_or(self.overriding),
            propagation: spec.propagation.unwrap_or(self.propagation),
            translatable: self.translatable || spec.translatable,
        }
    }
}
