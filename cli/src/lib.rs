//! The command line and the Python module: the only crate that prints, reads the environment or ends a process.
//!
//! [`run`] reads the arguments ([`args`]), hands them to one function of [`commands`], and turns what comes back into
//! output ([`output`], [`report`]) and an exit code ([`exit`]). [`project`] reads a user's files.

mod amount;
mod args;
mod commands;
mod demo;
mod demo_folder;
mod difference;
mod discover;
mod environment;
mod exit;
mod failure;
mod files;
mod follow;
mod lines;
mod logs;
mod moment;
mod output;
mod paint;
mod panic;
mod project;
#[cfg(feature = "python")]
mod python;
mod report;
mod rewrite;
mod signals;
mod table;
#[cfg(feature = "otlp")]
mod traces;

use std::{ffi::OsString, future::Future};

use clap::{Parser, error::ErrorKind};

pub use self::exit::Exit;
use self::{
    args::{Args, Backfill, Command, ConfigCommand, Errors, Saved, Search},
    environment::Environment,
    failure::Failure,
    logs::Talkative,
    output::{Format, Output},
};

/// Does what the arguments say, the program's name being the first of them, and says how it ended.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => {
            // Nobody is left to tell where even this can't be written.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
                _ => Exit::Usage,
            };
        }
    };
    panic::told_as_bugs(|| {
        let mut output = Output::new(&args.globals);
        let result = obey(args, &mut output).and_then(|exit| output.flush().map(|()| exit));
        match result {
            Ok(exit) => exit,
            Err(Failure::ReaderGone) => Exit::Done,
            Err(Failure::Interrupted) => Exit::Interrupted,
            Err(Failure::Told(trouble)) => {
                output.fail(&trouble);
                trouble.exit
            }
        }
    })
}

fn obey(args: Args, output: &mut Output) -> Result<Exit, Failure> {
    let talkative = if matches!(args.command, Command::Run { .. } | Command::Serve(_)) {
        Talkative::Yes
    } else {
        Talkative::No
    };
    let writes_markdown = matches!(args.command, Command::Plan { .. } | Command::Audit { .. });
    if output.format() == Format::Markdown && !writes_markdown {
        let failure = Failure::usage("only `plan` and `audit` write markdown");
        return Err(failure.help("use `-o text` or `-o json`"));
    }
    let _logs = logs::start(&args.globals, talkative, output.talk_paint().is_on());
    let environment = Environment::new(args.globals.env_file.as_deref())?;
    // Who asks once needs no threads; they would cost it a millisecond and two megabytes.
    let mut runtime = match args.command {
        Command::Run { .. } | Command::Demo { .. } | Command::Serve(_) => {
            tokio::runtime::Builder::new_multi_thread()
        }
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the system gives no threads: {error}")))?;
    let result = runtime.block_on(dispatch(args.command, &environment, output));
    // A thread that still reads a file or a socket must not hold up the end.
    runtime.shutdown_background();
    result
}

async fn dispatch(command: Command, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        // These stop by themselves when they are asked to.
        Command::Run { file, once, role, admin, watch_config } => {
            let wish = commands::run::Wish { once, role, admin, watch_config };
            Box::pin(commands::run::run(&file, wish, env, output)).await
        }
        Command::Serve(serve) => commands::serve::serve(&serve, env, output).await,
        Command::Demo { once, port, dir } => commands::demo::demo(once, port, dir, env, output).await,
        command => Box::pin(interruptible(answer(command, env, output))).await,
    }
}

async fn answer(command: Command, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Run { .. } | Command::Demo { .. } | Command::Serve(_) => unreachable!("dispatched above"),
        Command::Init { dir, root, origin } => {
            let origin = commands::init::Origin::of(origin.schema, origin.introspect);
            commands::init::init(&dir, root.as_deref(), &origin, output).await
        }
        Command::Test { paths, filter, update } => {
            use commands::test::Expectations;
            let expectations = if update { Expectations::AreUpdated } else { Expectations::Hold };
            commands::test::test(&paths, filter.as_deref(), expectations, env, output).await
        }
        Command::Validate { paths, deny_warnings } => {
            commands::validate::validate(&paths, deny_warnings, env, output).await
        }
        Command::Generate { kind, file, out } => {
            commands::generate::generate(kind, &file, out.as_deref(), env, output).await
        }
        Command::Plan { file, out, detailed_exitcode } => {
            let exit_code = commands::plan::ExitCode::of(detailed_exitcode);
            commands::plan::plan(&file, out.as_deref(), exit_code, env, output).await
        }
        Command::Provision { file, yes, dry_run, plan } => {
            let consent = commands::provision::Consent::of(yes || plan.is_some(), dry_run);
            commands::provision::provision(&file, plan.as_deref(), consent, env, output).await
        }
        Command::Doctor { file } => commands::doctor::doctor(&file, env, output).await,
        Command::Pause { file } => commands::pause::pause(&file, env, output).await,
        Command::Resume { file } => commands::pause::resume(&file, env, output).await,
        Command::Backfill(backfill) => answer_backfill(backfill, env, output).await,
        Command::Status { files, watch, check } => {
            let look = commands::status::Look::of(watch, check);
            commands::status::status(&files, look, env, output).await
        }
        Command::Errors(errors) => answer_errors(errors, env, output).await,
        Command::Search(Search { file, suggest: Some(prefix), filter, first, .. }) => {
            commands::search::suggest(&file, prefix, filter, first, env, output).await
        }
        Command::Search(search) => {
            let file = search.file.clone();
            commands::search::search(&file, commands::search::Wish::from(search), env, output).await
        }
        Command::Saved(saved) => answer_saved(saved, env, output).await,
        Command::Trace { file, id } => commands::trace::trace(&file, &id, env, output).await,
        Command::Audit { file, heartbeat: true, .. } => {
            commands::heartbeat::heartbeat(&file, env, output).await
        }
        Command::Audit { file, sample, full, repair, heartbeat: false } => {
            let wanted = commands::audit::Wanted::of(sample, full);
            commands::audit::audit(&file, wanted, repair, env, output).await
        }
        Command::Export { file, version } => commands::export::export(&file, version, env, output).await,
        Command::Promote { file, number } => commands::promote::promote(&file, number, env, output).await,
        Command::Rollback { file } => commands::promote::rollback(&file, env, output).await,
        Command::Config(ConfigCommand::Schema) => commands::config::schema(output),
        Command::Config(ConfigCommand::Expand { file }) => commands::config::expand(&file, env, output),
        Command::Config(ConfigCommand::Upgrade { file }) => commands::config::upgrade(&file, env, output),
        Command::Explain { code: Some(code) } => commands::explain::explain(&code, output),
        Command::Explain { code: None } => commands::explain::list(output),
        Command::Completion { shell } => commands::completion::completion(shell, output),
    }
}

/// Carries out a command about backfills.
async fn answer_backfill(command: Backfill, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Backfill::Start { file, ids, filter, now, rate, follow, into_new_version, estimate, sample } => {
            let wish = commands::backfill::Wish { ids, filter, now, rate, follow, into_new_version };
            if estimate {
                return commands::backfill::estimate::estimate(&file, wish, sample, env, output).await;
            }
            commands::backfill::start(&file, wish, env, output).await
        }
        Backfill::Status { file, watch } => commands::backfill::status(&file, watch, env, output).await,
        Backfill::List { file } => commands::backfill::list(&file, env, output).await,
        Backfill::Pause { file } => commands::backfill::pace::pause(&file, true, env, output).await,
        Backfill::Resume { file } => commands::backfill::pace::pause(&file, false, env, output).await,
        Backfill::Stop { file } => commands::backfill::pace::stop(&file, env, output).await,
    }
}

async fn answer_errors(errors: Errors, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    match errors {
        Errors::List { file, by, wanted } => commands::errors::list(&file, by, &wanted, env, output).await,
        Errors::Show { file, one } => commands::errors::show(&file, &one, env, output).await,
        Errors::Replay { file, wanted, all } => {
            commands::errors::replay(&file, &wanted, all, env, output).await
        }
        Errors::Drop { file, wanted, all, forget_held } => {
            commands::errors::drop(&file, &wanted, all, forget_held, env, output).await
        }
    }
}

async fn answer_saved(saved: Saved, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    match saved {
        Saved::Add { file, name, filter } => commands::saved::add(&file, name, filter, env, output).await,
        Saved::List { file } => commands::saved::list(&file, env, output).await,
        Saved::Remove { file, name } => commands::saved::remove(&file, &name, env, output).await,
        Saved::Match { file, document } => commands::saved::matching(&file, &document, env, output).await,
    }
}

/// Ends the work at Ctrl-C. Every command's changes are single transactions, so none is left half done.
async fn interruptible(work: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    tokio::select! {
        result = work => result,
        Ok(()) = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
    }
}
