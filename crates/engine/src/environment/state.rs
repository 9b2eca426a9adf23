//! The life of an execution environment, as a pure state machine.
//!
//! What always holds: an environment serves one invocation at a time; only the invocation that it serves can be answered; what is
//! dead stays dead. A transition that the table does not have is refused as a value, and changes nothing.
//!
//! ```text
//! Starting ──Launched──▶ Initialising ──NextRequested──▶ Idle ──Assigned──▶ Busy ──Responded──▶ Answered
//!                             │                           ▲ │                                      │
//!                         InitError                       │ └────────NextAbandoned────────────────▶│
//!                             ▼                           └────────────NextRequested───────────────┘
//!                         InitFailed
//! any but Dead ──Stop──▶ Stopping        any ──Exited──▶ Dead
//! ```

use uuid::Uuid;

/// Where an environment is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its sandbox is being made.
    Starting,
    /// Its runtime runs and has not asked for an event yet.
    Initialising,
    /// Its runtime has reported that it cannot initialise.
    InitFailed,
    /// Its runtime waits for an event.
    Idle,
    /// Its runtime has the event of this request and has not answered.
    Busy(Uuid),
    /// Its runtime has answered and has not asked for the next event.
    Answered,
    /// It has been told to end.
    Stopping,
    /// Its processes have ended.
    Dead,
}

/// What can happen to an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The sandbox runs.
    Launched,
    /// The runtime asks for the next event.
    NextRequested,
    /// The connection on which the runtime waited for an event is gone.
    NextAbandoned,
    /// The runtime reports that it cannot initialise.
    InitError,
    /// An invocation is handed to the runtime.
    Assigned(Uuid),
    /// The runtime answers this invocation, with a result or an error.
    Responded(Uuid),
    /// It is told to end.
    Stop,
    /// Its processes have ended.
    Exited,
}

/// An event that must not happen in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The state does not allow it.
    #[error("State transition is not allowed")]
    NotAllowed {
        /// The state, which stays.
        state: State,
        /// The event.
        event: Event,
    },
    /// The invocation that is answered is not the one being served.
    #[error("Invalid request ID")]
    WrongRequest {
        /// The request being served.
        serving: Uuid,
    },
}

impl State {
    /// The state after an event.
    ///
    /// # Errors
    /// [`Refused`] when the event must not happen now.
    pub fn on(self, event: Event) -> Result<State, Refused> {
        match (self, event) {
            (State::Starting, Event::Launched) => Ok(State::Initialising),
            (State::Initialising, Event::InitError) => Ok(State::InitFailed),
            (State::Initialising | State::Answered, Event::NextRequested) => Ok(State::Idle),
            (State::Idle, Event::NextAbandoned) => Ok(State::Answered),
            (State::Idle, Event::Assigned(request)) => Ok(State::Busy(request)),
            (State::Busy(serving), Event::Responded(request)) if serving == request => Ok(State::Answered),
            (State::Busy(serving), Event::Responded(_)) => Err(Refused::WrongRequest { serving }),
            (State::Dead, Event::Stop) => Err(Refused::NotAllowed { state: self, event }),
            (_, Event::Stop) => Ok(State::Stopping),
            (_, Event::Exited) => Ok(State::Dead),
            _ => Err(Refused::NotAllowed { state: self, event }),
        }
    }

    /// The state as the Runtime API's error messages name it.
    pub fn name(self) -> &'static str {
        match self {
            State::Starting | State::Initialising => "Started",
            State::InitFailed => "InitError",
            State::Idle => "Ready",
            State::Busy(_) => "Running",
            State::Answered => "ResponseSent",
            State::Stopping | State::Dead => "Exited",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: Uuid = Uuid::from_u128(1);
    const B: Uuid = Uuid::from_u128(2);

    const STATES: [State; 8] = [
        State::Starting,
        State::Initialising,
        State::InitFailed,
        State::Idle,
        State::Busy(A),
        State::Answered,
        State::Stopping,
        State::Dead,
    ];
    const EVENTS: [Event; 9] = [
        Event::Launched,
        Event::NextRequested,
        Event::NextAbandoned,
        Event::InitError,
        Event::Assigned(A),
        Event::Responded(A),
        Event::Responded(B),
        Event::Stop,
        Event::Exited,
    ];

    #[test]
    fn the_table_is_complete() {
        // One row a state, one column an event, in the order above; `-` is refused, `?` names the wrong request.
        let table = [
            ("Starting", "Initialising - - - - - - Stopping Dead"),
            ("Initialising", "- Idle - InitFailed - - - Stopping Dead"),
            ("InitFailed", "- - - - - - - Stopping Dead"),
            ("Idle", "- - Answered - Busy - - Stopping Dead"),
            ("Busy", "- - - - - Answered ? Stopping Dead"),
            ("Answered", "- Idle - - - - - Stopping Dead"),
            ("Stopping", "- - - - - - - Stopping Dead"),
            ("Dead", "- - - - - - - - Dead"),
        ];
        let word = |state: State| format!("{state:?}").split('(').next().unwrap_or_default().to_owned();
        for (state, (name, row)) in STATES.into_iter().zip(table) {
            assert_eq!(word(state), name);
            let cells: Vec<&str> = row.split(' ').collect();
            assert_eq!(cells.len(), EVENTS.len(), "{name}");
            for (event, expected) in EVENTS.into_iter().zip(cells) {
                let found = match state.on(event) {
                    Ok(next) => word(next),
                    Err(Refused::NotAllowed { .. }) => "-".to_owned(),
                    Err(Refused::WrongRequest { .. }) => "?".to_owned(),
                };
                assert_eq!(found, expected, "{name} on {event:?}");
            }
        }
    }

    fn any_event() -> impl Strategy<Value = Event> {
        let request = (0u128..4).prop_map(Uuid::from_u128);
        prop_oneof![
            4 => Just(Event::Launched),
            8 => Just(Event::NextRequested),
            2 => Just(Event::NextAbandoned),
            1 => Just(Event::InitError),
            8 => request.clone().prop_map(Event::Assigned),
            8 => request.prop_map(Event::Responded),
            1 => Just(Event::Stop),
            1 => Just(Event::Exited),
        ]
    }

    proptest! {
        #[test]
        fn any_interleaving_keeps_the_promises(events in proptest::collection::vec(any_event(), 0..200)) {
            let mut state = State::Starting;
            let mut open: Option<Uuid> = None;
            let mut launched = false;
            for event in events {
                let before = state;
                match state.on(event) {
                    Err(_) => prop_assert_eq!(state, before),
                    Ok(next) => {
                        state = next;
                        match event {
                            Event::Launched => launched = true,
                            Event::Assigned(request) => {
                                prop_assert!(open.is_none(), "two invocations at once");
                                prop_assert!(launched);
                                open = Some(request);
                            }
                            Event::Responded(request) => {
                                prop_assert_eq!(open.take(), Some(request), "an answer to what is not being served");
                            }
                            Event::Stop | Event::Exited => open = None,
                            _ => {}
                        }
                    }
                }
                prop_assert_eq!(open, match state { State::Busy(request) => Some(request), _ => None });
                if before == State::Dead {
                    prop_assert_eq!(state, State::Dead);
                }
                if before == State::Stopping {
                    prop_assert!(matches!(state, State::Stopping | State::Dead));
                }
            }
        }
    }
}
