//! What happens to the processes of an index and to the ways between them and their servers, in one round of a seed.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use harness::{graph::SUBGRAPHS, link::Break, random::Random};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A process is killed, and another takes its seat.
    Killed { seat: usize },
    /// A process is stopped between any two instructions, and goes on as if nothing had been.
    Frozen { seat: usize },
    /// A process can't reach one of its servers.
    Broken { seat: usize, link: usize, how: Break },
    /// The gateway can't reach a subgraph.
    Apart { subgraph: &'static str, how: Break },
}

/// A fault with its time in a round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spell {
    pub(super) fault: Fault,
    pub(super) begins: Duration,
    pub(super) ends: Duration,
}

/// What may happen.
pub(super) struct Pace {
    /// Processes.
    pub(super) seats: usize,
    /// The names of each process' ways to its servers.
    pub(super) links: &'static [&'static str],
    /// How long a process is frozen, milliseconds: longer than the deadline of its fetches, and than its session.
    pub(super) frozen: (u64, u64),
    /// How long a way is broken, milliseconds.
    pub(super) broken: (u64, u64),
}

/// The last moment at which a fault begins.
const BEGINS: u64 = 2_000;

/// The longest time that a seat is empty.
const EMPTY: u64 = 1_500;

/// The faults of a round, in the order of their beginning: one to three, no two of them on the same process or the same way.
pub(super) fn spells(pace: &Pace, random: &mut Random) -> Vec<Spell> {
    let count = 1 + random.place_in(3);
    let mut spells: Vec<Spell> = Vec::new();
    while spells.len() < count {
        let (fault, (least, most)) = fault(pace, random);
        if spells.iter().any(|other| other.fault.is_beside(fault)) {
            continue;
        }
        let begins = random.below(BEGINS);
        let ends = begins + least + random.below(most - least);
        let [begins, ends] = [begins, ends].map(Duration::from_millis);
        spells.push(Spell { fault, begins, ends });
    }
    spells.sort_by_key(|spell| spell.begins);
    spells
}

/// A fault, and between what it lasts, milliseconds.
fn fault(pace: &Pace, random: &mut Random) -> (Fault, (u64, u64)) {
    let seat = random.place_in(pace.seats);
    match random.below(7) {
        0..=2 => (Fault::Killed { seat }, (1, EMPTY)),
        3 => (Fault::Frozen { seat }, pace.frozen),
        4 | 5 => {
            let hows = [Break::Cut, Break::Stalled, Break::Unanswered, Break::HalfOpen];
            let (link, how) = (random.place_in(pace.links.len()), *random.pick(&hows));
            (Fault::Broken { seat, link, how }, pace.broken)
        }
        _ => {
            // The gateway is not ours: it would wait for ever on a connection whose other end is gone.
            let how = *random.pick(&[Break::Cut, Break::Stalled, Break::Unanswered]);
            let subgraph = *random.pick(&SUBGRAPHS);
            (Fault::Apart { subgraph, how }, pace.broken)
        }
    }
}

impl Fault {
    /// Whether both happen to the same process or way.
    fn is_beside(self, other: Self) -> bool {
        let place = |fault: Self| match fault {
            Self::Killed { seat } | Self::Frozen { seat } => (Some(seat), None, None),
            Self::Broken { seat, link, .. } => (Some(seat), Some(link), None),
            Self::Apart { subgraph, .. } => (None, None, Some(subgraph)),
        };
        place(self) == place(other)
    }
}

impl Spell {
    /// What is told of it, by the names of the links.
    pub(super) fn told<'s>(&'s self, links: &'s [&'s str]) -> impl Display + 's {
        struct Told<'s>(&'s Spell, &'s [&'s str]);
        impl Display for Told<'_> {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                let Self(Spell { fault, begins, ends }, links) = self;
                match fault {
                    Fault::Killed { seat } => write!(f, "#{seat} killed"),
                    Fault::Frozen { seat } => write!(f, "#{seat} frozen"),
                    Fault::Broken { seat, link, how } => write!(f, "#{seat} {} {how}", links[*link]),
                    Fault::Apart { subgraph, how } => write!(f, "{subgraph} {how}"),
                }?;
                write!(f, " {:.1}-{:.1}s", begins.as_secs_f32(), ends.as_secs_f32())
            }
        }
        Told(self, links)
    }
}
