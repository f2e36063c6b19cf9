//! Reading an expression, and keeping the last one.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr};
use cel::parser::{ParseErrors, PrattParser};
use cel::{Env, IdedExpr};
use hookwright_sdk::{Failure, shorten};

use crate::library;
use crate::mention::{self, Mention};

/// Expressions inside of each other that are read.
const DEEPEST: u16 = 96;

/// Bytes of an expression's text that are read.
const LONGEST: usize = 16_384;

/// Parts of an expression, operators and macros counted.
const LARGEST: usize = 4000;

/// Parts inside of each other, also where they are written side by side as in `a + b + c`. What answers an expression
/// goes into it as deeply.
const DEEPEST_PART: usize = 250;

/// An expression that was read.
pub(crate) struct Program {
    text: String,
    pub(crate) expression: IdedExpr,
    pub(crate) mentions: Vec<Mention>,
    variables: Vec<String>,
}

impl Program {
    /// Whether the expression names a variable.
    pub(crate) fn mentions(&self, variable: &str) -> bool {
        self.variables.iter().any(|name| name == variable)
    }
}

thread_local! {
    /// An instance that is kept warm is called for one automation after the other, most often the same.
    static LAST: RefCell<Option<Rc<Program>>> = const { RefCell::new(None) };
    static ENVIRONMENT: RefCell<Option<Arc<Env>>> = const { RefCell::new(None) };
}

/// The expression of a string.
///
/// # Errors
/// A permanent failure, code `expression.invalid`, with the line and column of what is wrong.
pub(crate) fn compiled(text: &str) -> Result<Rc<Program>, Failure> {
    let kept = LAST.with_borrow(|last| last.as_ref().filter(|last| last.text == text).map(Rc::clone));
    if let Some(program) = kept {
        return Ok(program);
    }
    if text.len() > LONGEST {
        return Err(Failure::permanent(
            "expression.invalid",
            format!("parameter `expression` is {} bytes long: at most {LONGEST} are read", text.len()),
        ));
    }
    let expression = PrattParser::new()
        .enable_optional_syntax(true)
        .max_recursion_depth(DEEPEST)
        .max_expression_node_count(LARGEST)
        .parse(text)
        .map_err(|errors| invalid(&errors))?;
    if is_too_deep(&expression) {
        return Err(Failure::permanent(
            "expression.invalid",
            format!(
                "parameter `expression` has more than {DEEPEST_PART} parts inside of each other: write it shorter, or as several conditions"
            ),
        ));
    }
    let variables = expression.references().variables().into_iter().map(str::to_owned).collect();
    let mentions = mention::mentions(&expression);
    let program = Rc::new(Program { text: text.to_owned(), expression, mentions, variables });
    LAST.set(Some(Rc::clone(&program)));
    Ok(program)
}

fn is_too_deep(expression: &IdedExpr) -> bool {
    let mut open = vec![(expression, 0_usize)];
    while let Some((part, depth)) = open.pop() {
        if depth > DEEPEST_PART {
            return true;
        }
        let mut parts: Vec<&IdedExpr> = Vec::new();
        match &part.expr {
            Expr::Call(call) => parts.extend(call.target.as_deref().into_iter().chain(&call.args)),
            Expr::Select(select) => parts.push(&select.operand),
            Expr::List(list) => parts.extend(&list.elements),
            Expr::Map(map) => map.entries.iter().for_each(|entry| entry_parts(&entry.expr, &mut parts)),
            Expr::Struct(object) => object.entries.iter().for_each(|entry| entry_parts(&entry.expr, &mut parts)),
            Expr::Comprehension(each) => {
                parts.extend([&each.iter_range, &each.accu_init, &each.loop_cond, &each.loop_step, &each.result])
            }
            Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
        }
        open.extend(parts.into_iter().map(|part| (part, depth + 1)));
    }
    false
}

fn entry_parts<'e>(entry: &'e EntryExpr, parts: &mut Vec<&'e IdedExpr>) {
    match entry {
        EntryExpr::MapEntry(entry) => parts.extend([&entry.key, &entry.value]),
        EntryExpr::StructField(field) => parts.push(&field.value),
    }
}

/// The functions that expressions know.
///
/// # Errors
/// Never, unless two functions share a name, which is a fault of this program.
pub(crate) fn environment() -> Result<Arc<Env>, Failure> {
    if let Some(kept) = ENVIRONMENT.with_borrow(Option::clone) {
        return Ok(kept);
    }
    let environment = library::environment().map_err(|error| {
        Failure::permanent(
            "plugin.faulty",
            format!("the functions of expressions cannot be declared: {error}. Report it"),
        )
    })?;
    let environment = Arc::new(environment);
    ENVIRONMENT.set(Some(Arc::clone(&environment)));
    Ok(environment)
}

fn invalid(errors: &ParseErrors) -> Failure {
    let problem = match errors.errors.first() {
        Some(error) => {
            let (line, column) = error.pos;
            format!("line {line}, column {column}: {}", shorten(&error.msg.replace('\n', " "), 300))
        }
        None => "it is not an expression".into(),
    };
    Failure::permanent("expression.invalid", format!("parameter `expression`, {problem}"))
}
