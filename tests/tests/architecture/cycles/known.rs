//! What is known about the type of an expression: enough to say which type's method a call goes to, or that the type is
//! unknown.

use syn::{GenericArgument, PathArguments, Type};

use super::names::Found;
use super::source::{Crate, Defined};

/// Types that are used as what they hold.
const DEREFERENCED: [&str; 11] = [
    "Arc",
    "Box",
    "Cow",
    "MutexGuard",
    "OwnedMutexGuard",
    "Pin",
    "Rc",
    "Ref",
    "RefMut",
    "RwLockReadGuard",
    "RwLockWriteGuard",
];

/// Types that hold a value of another one.
const CONTAINERS: [&str; 12] = [
    "ArcSwap", "LazyLock", "Mutex", "OnceCell", "OnceLock", "Option", "RefCell", "Result", "RwLock", "Vec", "VecDeque",
    "Weak",
];

/// Methods of containers that answer what is in it.
const OPENING: [&str; 14] = [
    "borrow",
    "borrow_mut",
    "expect",
    "get_or_init",
    "into_inner",
    "load",
    "load_full",
    "lock",
    "read",
    "unwrap",
    "unwrap_or",
    "unwrap_or_default",
    "unwrap_or_else",
    "write",
];

/// Methods that answer something of the same type, or of the same container.
const PASSING: [&str; 19] = [
    "as_deref",
    "as_deref_mut",
    "as_mut",
    "as_ref",
    "borrow",
    "clone",
    "cloned",
    "copied",
    "expect",
    "into_iter",
    "iter",
    "iter_mut",
    "map_err",
    "ok",
    "ok_or",
    "ok_or_else",
    "to_owned",
    "unwrap",
    "unwrap_or_else",
];

/// Names that libraries use for methods too: on something whose type is unknown they say nothing.
pub(super) const WELL_KNOWN: &str = "
    abs accept add addr advance alloc all and_then any append apply args as_array as_bool as_bytes as_deref as_i64
    as_mut as_object as_path as_ptr as_ref as_secs as_slice as_str as_string as_u64 as_value ascii await_ready back
    begin bind binary_search body borrow borrow_mut build builder bytes call cancel cancelled capacity ceil chain
    changed chars check checked_add checked_sub child chunk chunks clamp clear clone close closed cmp code collect
    commit compare complete concat config connect contains contains_key context copied copy count create current
    cursor cycle data date day decode decrypt dedup default delete description digest display done drain drop
    duration elapsed emit enabled encode encrypt end ends_with engine ensure entry enumerate env eq err error event
    events exchange execute exists exit expect extend extension fetch field fields file file_name fill filter
    filter_map finalize find find_map finish finished first flat_map flatten floor flush fmt fold for_each format
    from from_str front get get_mut get_or_insert get_or_insert_with handle hash header headers host hour id index
    info init inner insert inspect install instance interval into into_bytes into_inner into_iter into_string
    inverse is_alphanumeric is_closed is_digit is_dir is_empty is_err is_file is_none is_ok is_some is_some_and iter
    iter_mut join key keys kind kill last leak len length level limit line lines link list load lock log lookup
    lower make map map_err map_or map_or_else matches max max_by message metadata method min min_by minute mode
    modified month name names new next nth notify now ok ok_or ok_or_else open options or or_default or_else
    or_insert or_insert_with output owner parent parse parts path peek permissions pid poll pop pop_back pop_front
    port position prepare print process program property push push_back push_front push_str put query range read
    read_to_string reason receive record recv register release reload remove rename repeat replace replace_all
    report request reserve reset resize resolve response resume retain retry rev root rotate round run save
    saturating_add saturating_sub scan schedule scheme second seconds seek segments send serialize set set_header
    set_len shrink shutdown sign size skip sleep slice sort sort_by sort_by_key spawn split split_at split_once
    splitn start started starts_with state status step stop store strip_prefix strip_suffix subscribe sum swap sync
    take take_while tell test text then then_some time timeout to_bytes to_le_bytes to_lowercase to_owned
    to_path_buf to_string to_text to_uppercase to_vec touch trace transform trim trim_end trim_start truncate
    try_from try_get try_insert try_into try_lock try_recv try_send ty unwrap unwrap_or unwrap_or_default
    unwrap_or_else update uri url user validate value values values_mut verify version wait wake warn weight width
    window windows with with_capacity wrap write write_all year yield_now zip
";

/// A type.
#[derive(Clone)]
pub(super) enum Known {
    /// One that the crate defines, by its number.
    Defined(usize),
    /// As it is written in a module, with what `Self` is there.
    Written { ty: Box<Type>, module: usize, owner: Option<usize> },
}

impl Known {
    pub(super) fn written(ty: &Type, module: usize, owner: Option<usize>) -> Self {
        Self::Written { ty: Box::new(ty.clone()), module, owner }
    }
}

/// What a type is behind references and smart pointers.
pub(super) enum Shape {
    /// One that the crate defines.
    Defined(usize),
    /// One of elsewhere, with its arguments; a tuple is called `()`.
    Foreign(String, Vec<Known>),
    /// Unknown.
    Unknown,
}

impl Crate<'_> {
    pub(super) fn shape(&self, known: &Known) -> Shape {
        let (ty, module, owner) = match known {
            Known::Defined(number) => return Shape::Defined(*number),
            Known::Written { ty, module, owner } => (ty, *module, *owner),
        };
        let again = |ty: &Type| Known::written(ty, module, owner);
        match &**ty {
            Type::Reference(inner) => self.shape(&again(&inner.elem)),
            Type::Paren(inner) => self.shape(&again(&inner.elem)),
            Type::Group(inner) => self.shape(&again(&inner.elem)),
            Type::Slice(inner) => Shape::Foreign("Vec".to_owned(), vec![again(&inner.elem)]),
            Type::Array(inner) => Shape::Foreign("Vec".to_owned(), vec![again(&inner.elem)]),
            Type::Tuple(inner) => Shape::Foreign("()".to_owned(), inner.elems.iter().map(again).collect()),
            Type::ImplTrait(_) | Type::TraitObject(_) | Type::FnPtr(_) => Shape::Foreign("dyn".to_owned(), Vec::new()),
            Type::Path(path) if path.qself.is_none() => self.shape_of_path(&path.path, module, owner),
            _ => Shape::Unknown,
        }
    }

    fn shape_of_path(&self, path: &syn::Path, module: usize, owner: Option<usize>) -> Shape {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments == ["Self"] {
            return owner.map_or(Shape::Unknown, Shape::Defined);
        }
        if let Some(found) = self.resolve(module, &segments) {
            return match self.defined(&found) {
                Some(Defined::Type(number)) if found.rest == 0 => Shape::Defined(*number),
                Some(Defined::Alias(ty)) if found.rest == 0 => self.shape_of_alias(path, ty, &found, module, owner),
                Some(Defined::Other) => Shape::Foreign("dyn".to_owned(), Vec::new()),
                _ => Shape::Unknown,
            };
        }
        let (Some(last), Some(segment)) = (segments.last(), path.segments.last()) else { return Shape::Unknown };
        let arguments = arguments(segment, module, owner);
        match arguments.first() {
            Some(first) if DEREFERENCED.contains(&last.as_str()) => self.shape(first),
            _ => Shape::Foreign(last.clone(), arguments),
        }
    }

    /// An alias such as `Result<T> = std::result::Result<T, Error>` holds what the mention says that it holds.
    fn shape_of_alias(&self, path: &syn::Path, ty: &Type, found: &Found, module: usize, owner: Option<usize>) -> Shape {
        let of_alias = self.shape(&Known::written(ty, found.module, None));
        let here = path.segments.last().map(|segment| arguments(segment, module, owner)).unwrap_or_default();
        match of_alias {
            Shape::Foreign(name, _) if !here.is_empty() => Shape::Foreign(name, here),
            of_alias => of_alias,
        }
    }

    /// What is in a container; anything else is itself.
    pub(super) fn opened(&self, known: &Known) -> Option<Known> {
        match self.shape(known) {
            Shape::Foreign(name, arguments) if CONTAINERS.contains(&name.as_str()) => arguments.into_iter().next(),
            _ => Some(known.clone()),
        }
    }

    /// What a method answers that the type itself does not define.
    pub(super) fn passed(&self, known: &Known, method: &str) -> Option<Known> {
        if let Shape::Foreign(name, arguments) = self.shape(known)
            && CONTAINERS.contains(&name.as_str())
            && OPENING.contains(&method)
        {
            return arguments.into_iter().next();
        }
        PASSING.contains(&method).then(|| known.clone())
    }

    /// The part of a tuple, or a field.
    pub(super) fn field(&self, known: &Known, name: &str) -> Option<Known> {
        match self.shape(known) {
            Shape::Defined(number) => {
                let definition = &self.types[number];
                Some(Known::written(definition.fields.get(name)?, definition.module, Some(number)))
            }
            Shape::Foreign(tuple, parts) if tuple == "()" => parts.get(name.parse::<usize>().ok()?).cloned(),
            _ => None,
        }
    }
}

fn arguments(segment: &syn::PathSegment, module: usize, owner: Option<usize>) -> Vec<Known> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return Vec::new() };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(Known::written(ty, module, owner)),
        _ => None,
    });
    types.collect()
}
