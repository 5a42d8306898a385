//! One run of the program, from arguments to an exit code.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use keysherd_base::{Clock, SystemClock};
use keysherd_wire::{Body, Spec};
use serde_json::{Map, Value};

use crate::body::{self, Given};
use crate::command_line::{self, Line};
use crate::context::{Context, Env};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flags;
use crate::globals;
use crate::help;
use crate::local;
use crate::program::Program;
use crate::session::Session;
use crate::show;
use crate::store::Places;
use crate::terminal::Terminal;
use crate::verb::{Action, Verb};

/// Runs the command line of the binary `keysherd` in this process, with its environment, clock and
/// streams; `arguments` begin with the program's name. The result is the exit code.
pub fn main(
    specs: impl AsRef<[&'static Spec]>,
    arguments: impl IntoIterator<Item = OsString>,
) -> u8 {
    let program = Program::keysherd(specs.as_ref());
    let env = |name: &str| std::env::var(name).ok();
    Terminal::of_process(|terminal| {
        run(&program, arguments.into_iter(), &env, &SystemClock, terminal)
    })
}

/// Runs one command line.
///
/// `arguments` begin with the program's name, as `std::env::args_os` gives them. `env` reads a
/// variable of the environment; the directories of profiles come from it too. The result is the
/// exit code; see [`Exit`].
pub fn run(
    program: &Program<'_>,
    arguments: impl Iterator<Item = OsString>,
    env: &dyn Fn(&str) -> Option<String>,
    clock: &dyn Clock,
    terminal: &mut Terminal<'_>,
) -> u8 {
    let outcome = command_line::read(program, arguments.skip(1));
    let (words, outcome) = match outcome {
        Err(failure) => (None, Err(failure)),
        Ok(Line::Overview) => (None, terminal.print(&help::overview(program))),
        Ok(Line::Nothing) => {
            let text = help::overview(program);
            (None, Err(Failure::whole(Exit::Usage, text)))
        }
        Ok(Line::Version) => (None, terminal.print(&local::version_line(program))),
        Ok(Line::Verb { verb, rest }) => (
            Some(verb.spec.name.replace('-', " ")),
            run_verb(program, verb, rest, env, clock, terminal),
        ),
    };
    match outcome {
        Ok(()) => Exit::Ok.code(),
        Err(failure) => {
            let text = failure.render(words.as_deref());
            if !text.is_empty() {
                terminal.note(&text);
            }
            failure.exit.code()
        }
    }
}

fn run_verb(
    program: &Program<'_>,
    verb: Verb,
    rest: Vec<String>,
    env: Env<'_>,
    clock: &dyn Clock,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let usage = format!("{} {}", program.name, verb.name);
    let parser = flags::parser(verb.spec, &usage, terminal.width);
    let matches = match parser.try_get_matches_from(flags::normalize(verb.spec, rest)) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            return terminal.print(&error.to_string());
        }
        Err(error) => return Err(Failure::whole(Exit::Usage, usage_text(&verb, &error))),
    };
    let mut context = Context {
        program,
        env,
        clock,
        terminal,
        globals: globals::read(&matches)?,
        places: Places::locate(env),
    };
    let given = body::collect(verb.spec, &matches, &mut context)?;
    match verb.action {
        Action::Local(run) => run(&mut context, given.fields),
        Action::Server => call_server(&mut context, verb, given),
    }
}

fn call_server(context: &mut Context<'_, '_>, verb: Verb, given: Given) -> Result<(), Failure> {
    let session = Session::open(context)?;
    let arguments = public_arguments(verb.spec, &given);
    let body = match (given.batch, verb.spec.body) {
        (Some(batch), _) => batch,
        (None, Body::Object) => given.fields.into_value(),
        (None, Body::Array) => Value::Array(vec![given.fields.into_value()]),
    };
    let response = session.run(context, verb.spec, verb.name, body)?;
    for warning in &response.warnings {
        context.terminal.note(&format!("Warning: {warning}"));
    }
    let shown = show::render(&verb.spec.show, context.globals.format, &arguments, &response.body)?;
    show::print(context, &shown)
}

/// The arguments that an answer's text may repeat: all but secrets.
fn public_arguments(spec: &'static Spec, given: &Given) -> Map<String, Value> {
    spec.all_fields()
        .filter(|field| !field.secret)
        .filter_map(|field| {
            let value = given.fields.get(field.documented)?;
            Some((field.name.to_owned(), value.clone()))
        })
        .collect()
}

/// What is wrong with a command line. The value of a flag that takes a secret is not repeated.
fn usage_text(verb: &Verb, error: &clap::Error) -> String {
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => flag.as_str(),
        _ => "",
    };
    let name = flag.trim_start_matches('-');
    let name = name.split([' ', '=', '[']).next().unwrap_or_default();
    let base = ["-stdin", "-file"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let is_secret = |name: &str| verb.spec.field(name).is_some_and(|field| field.secret);
    if is_secret(name) || is_secret(base) {
        return format!("error: invalid use of --{name}\n\nFor more information, try '--help'.\n");
    }
    error.to_string()
}
