//! Random histories.

use proptest::prelude::*;

use super::machine::Machine;
use super::*;

fn values() -> impl Strategy<Value = Values> {
    prop_oneof![
        Just(Values::Sums),
        Just(Values::Deltas),
        Just(Values::Events)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_account_is_exact_in_random_histories(
        values in values(),
        has_queue in any::<bool>(),
        choices in prop::collection::vec(any::<u8>(), 0..400),
        steps in 1..200_usize,
    ) {
        let availability = match has_queue {
            true => Availability::Open(0),
            false => Availability::None,
        };
        let mut machine = Machine::new(values, availability, Instant::now(), choices);
        let mut event = Event::Started { delay: SECOND };
        let mut step = 0;
        loop {
            let operation = machine.handle(event);
            machine.check(&operation);
            step += 1;
            if step == steps {
                machine.deadline = Some(machine.now + 5 * SECOND);
            }
            match machine.perform(operation) {
                Some(result) => event = result,
                None => break,
            }
            prop_assert!(step < steps + 1000, "it does not end");
        }
        prop_assert!(machine.is_accounted);
        prop_assert_eq!(machine.accepted, 0, "a command is not answered");
        if machine.late.is_none() {
            prop_assert_eq!(machine.account.queued, machine.stored());
        }
    }
}
