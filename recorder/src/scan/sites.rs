//! Which numbers the kernel is called with, in one file: where it is called, and in functions that are given the number
//! by those who call them. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use profile::{
    kinds::seccomp::Arch,
    syscall::{self, X32_BIT},
};

use super::{
    elf::Image,
    functions::Code,
    machine,
    module::{Call, Target, Unresolved, Why, Wrapper, Wrappers},
    step::{Flow, Place, Step},
    value::{Body, Values},
};

/// How many places that call wrappers are looked at in one file.
const PATIENCE: usize = 200_000;

/// How many arguments of one function can be numbers.
const ARGUMENTS: usize = 8;

/// A place from where it goes on to another function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) at: u64,
    pub(crate) function: u32,
    pub(crate) target: Target,
    /// Whether it comes back (`false`) or not; none where the address alone is taken.
    pub(crate) tail: Option<bool>,
}

/// All such places of a file.
#[derive(Debug, Default)]
pub(crate) struct Sites<'a> {
    /// Function, address and architecture of each call to the kernel.
    pub(crate) kernel: Vec<(u32, u64, Arch)>,
    pub(crate) all: Vec<Site>,
    pub(crate) names: Vec<&'a str>,
    pub(crate) pointers: BTreeSet<Target>,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) calls: BTreeMap<u32, BTreeSet<Call>>,
    pub(crate) unresolved: BTreeMap<u32, BTreeSet<Unresolved>>,
    pub(crate) wrappers: HashMap<u32, BTreeSet<Wrapper>>,
}

/// Finds the numbers.
pub(crate) fn calls(image: &Image<'_>, code: &Code, sites: &Sites<'_>, known: &Wrappers) -> Found {
    let mut search = Search { image, code, found: Found::default(), body: None, fresh: Vec::new() };
    let number = machine::number(image.arch);
    for (function, at, arch) in &sites.kernel {
        let values = search.values(*function, *at, number);
        search.take(*function, *at, *arch, &values);
    }
    // Names of wrappers in other files, then those here as they are found.
    let mut new: HashMap<Target, BTreeSet<Wrapper>> = HashMap::new();
    for (number, name) in (0..).zip(&sites.names) {
        if let Some(wrappers) = known.get(*name) {
            new.insert(Target::Name(number), wrappers.clone());
        }
    }
    let numbers: HashMap<&str, u32> = sites.names.iter().copied().zip(0..).collect();
    let mut left = PATIENCE;
    loop {
        for (function, wrapper) in search.fresh.drain(..) {
            new.entry(Target::Here(function)).or_default().insert(wrapper);
            let start = code.functions[function as usize].range.start;
            // It is called by its name here, too.
            let of = image.functions.partition_point(|symbol| symbol.address < start);
            let symbols = image.functions[of..].iter().take_while(|s| s.address == start);
            for symbol in symbols.filter(|symbol| symbol.exported) {
                if let Some(number) = numbers.get(symbol.name) {
                    new.entry(Target::Name(*number)).or_default().insert(wrapper);
                }
            }
        }
        if new.is_empty() {
            break;
        }
        let round = std::mem::take(&mut new);
        for site in &sites.all {
            for wrapper in round.get(&site.target).into_iter().flatten() {
                left = left.saturating_sub(1);
                search.site(site, *wrapper, left > 0);
            }
        }
        for target in sites.pointers.iter().filter(|target| round.contains_key(target)) {
            if let Target::Here(function) = target {
                let address = code.functions[*function as usize].range.start;
                search.unresolved(*function, address, Why::Passed);
            }
        }
    }
    search.found
}

struct Search<'s, 'a> {
    image: &'s Image<'a>,
    code: &'s Code,
    found: Found,
    /// The function that was looked at last.
    body: Option<(u32, Body)>,
    fresh: Vec<(u32, Wrapper)>,
}

impl Search<'_, '_> {
    /// A place that calls a wrapper, or takes its address.
    fn site(&mut self, site: &Site, wrapper: Wrapper, patient: bool) {
        let why = match site.tail {
            None => Why::Passed,
            Some(_) if !patient => Why::Unknown,
            Some(tail) => {
                // What a call puts on the stack is there already when the function begins.
                let pushed = machine::pushed(self.image.arch);
                let place = match (wrapper.place, tail) {
                    (Place::Stack(offset), false) => Place::Stack(offset - pushed),
                    (place, _) => place,
                };
                let values = self.values(site.function, site.at, place);
                return self.take(site.function, site.at, wrapper.arch, &values);
            }
        };
        self.unresolved(site.function, site.at, why);
    }

    fn values(&mut self, function: u32, at: u64, place: Place) -> Values {
        if self.body.as_ref().is_none_or(|(number, _)| *number != function) {
            self.body = Some((function, Body::new(self.steps(function))));
        }
        self.body.as_ref().map(|(_, body)| body.values(at, place)).unwrap_or_default()
    }

    fn steps(&self, function: u32) -> Vec<Step> {
        let range = &self.code.functions[function as usize].range;
        let bytes = self.image.code.iter().find_map(|part| part.at(range.start));
        let length = usize::try_from(range.end - range.start).unwrap_or(0);
        let bytes = bytes.and_then(|bytes| bytes.get(..length)).unwrap_or_default();
        let mut steps = machine::steps(self.image.arch, bytes, range.start);
        for step in &mut steps {
            if let Flow::Call(to) = step.flow
                && self.code.find(to).is_some_and(|to| self.code.ends.contains(&to))
            {
                step.flow = Flow::Stop;
            }
        }
        // Where it runs on into the next.
        steps.push(Step::new(range.end));
        steps
    }

    fn take(&mut self, function: u32, at: u64, arch: Arch, values: &Values) {
        if values.unknown {
            self.unresolved(function, at, Why::Unknown);
        }
        for value in &values.constants {
            match call(arch, *value) {
                Ok(call) => drop(self.found.calls.entry(function).or_default().insert(call)),
                Err(why) => self.unresolved(function, at, why),
            }
        }
        for place in &values.arguments {
            // What is below that when it begins, nobody has given it.
            let pushed = machine::pushed(self.image.arch);
            if matches!(place, Place::Stack(offset) if *offset < pushed) {
                self.unresolved(function, at, Why::Unknown);
                continue;
            }
            let wrapper = Wrapper { place: *place, arch };
            let wrappers = self.found.wrappers.entry(function).or_default();
            if wrappers.len() >= ARGUMENTS {
                self.unresolved(function, at, Why::Unknown);
            } else if wrappers.insert(wrapper) {
                self.fresh.push((function, wrapper));
            }
        }
    }

    fn unresolved(&mut self, function: u32, address: u64, why: Why) {
        self.found.unresolved.entry(function).or_default().insert(Unresolved { address, why });
    }
}

/// The call with a number, as the register has it.
fn call(arch: Arch, value: u64) -> Result<Call, Why> {
    // The kernel looks at the lower half alone.
    let number = u32::try_from(value & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    let is_x32 = arch == Arch::X86_64 && number & X32_BIT != 0;
    let arch = if is_x32 { Arch::X32 } else { arch };
    match syscall::name(arch, number) {
        Some(_) => Ok(Call { arch, number }),
        None => Err(Why::NoCall(number.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_call_of_its_machine_or_none() {
        assert_eq!(call(Arch::X86_64, 1).unwrap().name(), Some("write"));
        assert_eq!(call(Arch::X86_64, 0xffff_ffff_0000_0001).unwrap().name(), Some("write"));
        assert_eq!(call(Arch::X86, 1).unwrap().name(), Some("exit"));
        assert_eq!(call(Arch::X86_64, 0x4000_0027).unwrap().arch, Arch::X32);
        assert_eq!(call(Arch::X86_64, 0xffff_ffff), Err(Why::NoCall(0xffff_ffff)));
    }
}
