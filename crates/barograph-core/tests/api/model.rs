//! Random operations against a naive model: a map from labels to a number.

use std::collections::BTreeMap;

use barograph_core::registry::Registry;
use barograph_model::snapshot::Source;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Operation {
    Add(u8, u16),
    AddThroughHandle(u8, u16),
    Bind(u8),
    Drop(u8),
    Remove(u8),
    RetainEven,
    Collect,
}

fn operation() -> impl Strategy<Value = Operation> {
    let label = 0..6u8;
    prop_oneof![
        6 => (label.clone(), any::<u16>()).prop_map(|(k, n)| Operation::Add(k, n)),
        3 => (label.clone(), any::<u16>()).prop_map(|(k, n)| Operation::AddThroughHandle(k, n)),
        2 => label.clone().prop_map(Operation::Bind),
        2 => label.clone().prop_map(Operation::Drop),
        2 => label.prop_map(Operation::Remove),
        1 => Just(Operation::RetainEven),
        2 => Just(Operation::Collect),
    ]
}

/// The view of a reader: each series that is shown, by its label.
fn page(registry: &Registry) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for family in registry.collect() {
        let mut from = Some(0);
        while let Some(at) = from {
            from = family.read(at, &mut |point| {
                let label = point.labels.iter().next().unwrap().1.to_owned();
                let barograph_model::snapshot::Value::U64(value) = point.value else {
                    panic!("a counter of whole numbers");
                };
                assert!(all.insert(label, value).is_none(), "a series stands twice");
            });
        }
    }
    all
}

proptest! {
    #[test]
    fn any_history_shows_what_a_map_would(operations in prop::collection::vec(operation(), 1..120)) {
        let registry = Registry::builder().with_family_limit(6).build().unwrap();
        let family = registry.counter("c").build_with_label_names(["k"]).unwrap();
        let mut model: BTreeMap<String, u64> = BTreeMap::new();
        let mut handles = BTreeMap::new();
        // A series that is shown keeps its value, one that is not is revived.
        let add = |model: &mut BTreeMap<String, u64>, label: &str, n: u64| {
            *model.entry(label.to_owned()).or_insert(0) += n;
        };
        for operation in operations {
            match operation {
                Operation::Add(k, n) => {
                    let label = k.to_string();
                    let n = u64::from(n) + 1;
                    family.with(&[&label]).add(n);
                    add(&mut model, &label, n);
                }
                Operation::AddThroughHandle(k, n) => {
                    if let Some(handle) = handles.get(&k) {
                        let handle: &barograph_core::Counter<u64> = handle;
                        let n = u64::from(n) + 1;
                        handle.add(n);
                        add(&mut model, &k.to_string(), n);
                    }
                }
                Operation::Bind(k) => {
                    let label = k.to_string();
                    let handle = family.bind(&[&label]);
                    // A new series is shown at zero; a removed one is not shown until it is recorded
                    // into.
                    if let Some(shown) = page(&registry).get(&label) {
                        model.entry(label).or_insert(*shown);
                        prop_assert_eq!(handle.get(), *shown);
                    }
                    handles.insert(k, handle);
                }
                Operation::Drop(k) => {
                    handles.remove(&k);
                }
                Operation::Remove(k) => {
                    let was_there = family.remove(&[&k.to_string()]);
                    prop_assert_eq!(was_there, model.remove(&k.to_string()).is_some());
                }
                Operation::RetainEven => {
                    family.retain(|labels| {
                        let value: u8 = labels.iter().next().unwrap().1.parse().unwrap();
                        value.is_multiple_of(2)
                    });
                    model.retain(|label, _| label.parse::<u8>().unwrap() % 2 == 0);
                }
                Operation::Collect => {}
            }
            prop_assert_eq!(page(&registry), model.clone());
        }
        prop_assert_eq!(family.len(), model.len());
    }
}
