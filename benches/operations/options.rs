//! How much of everything.

use std::time::Duration;

use clap::Parser;

/// Measures checks, assignments and lists with a lot behind them.
#[derive(Debug, Parser)]
#[command(name = "operations")]
pub(crate) struct Options {
    /// A fiftieth of everything and a second for each measure, to develop with
    #[arg(long)]
    quick: bool,
    /// People in each past assignment
    #[arg(long, default_value_t = PEOPLE_EACH)]
    people_each: i64,
    /// Cargo says so to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// Everyone of a team.
const PEOPLE_EACH: i64 = 10;

/// Members of each team: a leader, seven deminers, a driver and a paramedic.
pub(crate) const MEMBERS: i64 = 10;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) operators: i64,
    /// Of each operator.
    pub(crate) teams: i64,
    /// Behind each team.
    pub(crate) assignments: i64,
    pub(crate) people_each: i64,
    /// Columns and rows of the grid of sites.
    pub(crate) grid: (i64, i64),
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

impl Sizes {
    pub(crate) const fn teams(self) -> i64 {
        self.operators * self.teams
    }

    pub(crate) const fn people(self) -> i64 {
        self.teams() * MEMBERS
    }

    pub(crate) const fn past_assignments(self) -> i64 {
        self.teams() * self.assignments
    }

    pub(crate) const fn sites(self) -> i64 {
        self.grid.0 * self.grid.1
    }
}

impl Options {
    /// Whether everything has its full size.
    pub(crate) const fn complete(&self) -> bool {
        !self.quick && self.people_each == PEOPLE_EACH
    }

    pub(crate) const fn sizes(&self) -> Sizes {
        let people_each = self.people_each;
        if self.quick {
            return Sizes {
                operators: 5,
                teams: 20,
                assignments: 200,
                people_each,
                grid: (100, 20),
                warm_up: Duration::from_millis(500),
                measured: Duration::from_secs(1),
            };
        }
        Sizes {
            operators: 50,
            teams: 100,
            assignments: 200,
            people_each,
            grid: (400, 250),
            warm_up: Duration::from_secs(2),
            measured: Duration::from_secs(15),
        }
    }
}
