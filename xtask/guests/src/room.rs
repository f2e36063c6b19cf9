//! Room in the memory of a module from its start. Most calls of a plugin need little memory, and each may have a fresh
//! instance. The allocators of most languages let memory grow for it, and memory that has grown has to be taken away again
//! by the host before the next call, with a system call that stops the other threads.
//!
//! So the module gets more memory at the start than its code knows of: where it asks for the size of memory, it gets a
//! count of its own, and where it lets memory grow, that count grows first, and memory only once the room is used up. The
//! code cannot tell the difference.

use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, Function, FunctionSection, GlobalSection, GlobalType, Instruction,
    MemorySection, Module, TypeSection, ValType,
};
use wasmparser::{Operator, Parser, Payload, TypeRef};

/// The pages of 64 KiB that memory has besides those that the module asks for.
const ROOM: u64 = 4;

/// The module with room in its memory. `None`: it cannot have any, or has no use for it.
#[must_use]
pub fn with_room(module: &[u8]) -> Option<Vec<u8>> {
    let mut room = Room::of(module)?;
    let mut result = Module::new();
    room.parse_core_module(&mut result, Parser::new(0), module).ok()?;
    Some(result.finish())
}

/// What is added to a module.
struct Room {
    /// The pages that its code knows of at the start.
    pages: u64,
    /// The numbers of the type and the function that let memory grow, and of the variable that counts pages.
    grow_type: u32,
    grow: u32,
    counter: u32,
}

impl Room {
    fn of(module: &[u8]) -> Option<Self> {
        let (mut types, mut functions, mut globals) = (0_u32, 0_u32, 0_u32);
        let (mut memory, mut grows, mut has_globals) = (None, false, false);
        for payload in Parser::new(0).parse_all(module) {
            match payload.ok()? {
                Payload::TypeSection(section) => {
                    for group in section {
                        types = types.checked_add(u32::try_from(group.ok()?.types().len()).ok()?)?;
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        match import.ok()?.ty {
                            TypeRef::Func(_) | TypeRef::FuncExact(_) => functions = functions.checked_add(1)?,
                            TypeRef::Global(_) => globals = globals.checked_add(1)?,
                            TypeRef::Memory(_) => return None,
                            TypeRef::Table(_) | TypeRef::Tag(_) => {}
                        }
                    }
                }
                Payload::FunctionSection(section) => functions = functions.checked_add(section.count())?,
                Payload::GlobalSection(section) => {
                    has_globals = true;
                    globals = globals.checked_add(section.count())?;
                }
                Payload::MemorySection(section) => {
                    let mut memories = section.into_iter();
                    memory = memories.next()?.ok();
                    if memories.next().is_some() {
                        return None;
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    for operator in body.get_operators_reader().ok()? {
                        grows |= matches!(operator.ok()?, Operator::MemoryGrow { .. });
                    }
                }
                _ => {}
            }
        }
        let memory = memory.filter(|memory| !memory.memory64 && !memory.shared && memory.page_size_log2.is_none())?;
        let fits = memory.maximum.is_none_or(|most| memory.initial.saturating_add(ROOM) <= most);
        let wanted = grows && fits && has_globals;
        wanted.then_some(Self { pages: memory.initial, grow_type: types, grow: functions, counter: globals })
    }

    /// `memory.grow` as the code sees it.
    fn growing(&self) -> Function {
        // The parameter, and the pages that there were before.
        let (wanted, before) = (0, 1);
        let mut function = Function::new([(1, ValType::I32)]);
        let missing = |function: &mut Function| {
            // The pages that are wanted, minus those that are there and not counted.
            function.instructions().local_get(wanted).memory_size(0).local_get(before).i32_sub().i32_sub();
        };
        function.instructions().global_get(self.counter).local_set(before);
        // Is there no room for them? A number without a sign: memory does not grow by as many as that, and says so.
        function.instructions().local_get(wanted).memory_size(0).local_get(before).i32_sub().i32_gt_u();
        function.instructions().if_(BlockType::Empty);
        missing(&mut function);
        function.instructions().memory_grow(0).i32_const(-1).i32_eq();
        function.instructions().if_(BlockType::Empty).i32_const(-1).return_().end().end();
        function.instructions().local_get(before).local_get(wanted).i32_add().global_set(self.counter);
        function.instructions().local_get(before).end();
        function
    }
}

type Failed = reencode::Error<std::convert::Infallible>;

impl Reencode for Room {
    type Error = std::convert::Infallible;

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Result<(), Failed> {
        reencode::utils::parse_type_section(self, types, section)?;
        types.ty().function([ValType::I32], [ValType::I32]);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), Failed> {
        reencode::utils::parse_function_section(self, functions, section)?;
        functions.function(self.grow_type);
        Ok(())
    }

    fn parse_memory_section(
        &mut self,
        memories: &mut MemorySection,
        section: wasmparser::MemorySectionReader<'_>,
    ) -> Result<(), Failed> {
        for memory in section {
            let mut memory = self.memory_type(memory?)?;
            memory.minimum = memory.minimum.saturating_add(ROOM);
            memories.memory(memory);
        }
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Result<(), Failed> {
        reencode::utils::parse_global_section(self, globals, section)?;
        let pages = i32::try_from(self.pages).unwrap_or(i32::MAX);
        let counter = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(counter, &ConstExpr::i32_const(pages));
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), Failed> {
        reencode::utils::parse_code_section(self, code, section)?;
        code.function(&self.growing());
        Ok(())
    }

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Result<Instruction<'a>, Failed> {
        match operator {
            Operator::MemoryGrow { .. } => Ok(Instruction::Call(self.grow)),
            Operator::MemorySize { .. } => Ok(Instruction::GlobalGet(self.counter)),
            other => reencode::utils::instruction(self, other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(memory: &str, body: &str) -> Vec<u8> {
        let text = format!(
            "(module (import \"a\" \"b\" (func (param i64))) (memory (export \"memory\") {memory}) (global i32 (i32.const 7))
             (func (export \"go\") (param i32) (result i32) {body}) (data (i32.const 8) \"x\"))"
        );
        wat::parse_str(text).unwrap()
    }

    /// What the code of a module does with memory, and how many pages memory has.
    fn seen(module: &[u8]) -> (Vec<String>, u64) {
        wasmparser::Validator::new().validate_all(module).unwrap();
        let (mut operators, mut pages) = (Vec::new(), 0);
        for payload in Parser::new(0).parse_all(module) {
            match payload.unwrap() {
                Payload::MemorySection(section) => pages = section.into_iter().next().unwrap().unwrap().initial,
                Payload::CodeSectionEntry(body) => {
                    let mut of_function = Vec::new();
                    for operator in body.get_operators_reader().unwrap() {
                        of_function.push(format!("{:?}", operator.unwrap()));
                    }
                    operators.push(of_function.join(" "));
                }
                _ => {}
            }
        }
        (operators, pages)
    }

    #[test]
    fn memory_grows_through_a_count_of_its_own() {
        let module = module("3", "(i32.add (memory.size) (memory.grow (local.get 0)))");
        let (operators, pages) = seen(&with_room(&module).unwrap());
        assert_eq!(pages, 3 + ROOM);
        assert_eq!(operators.len(), 2);
        let own = "GlobalGet { global_index: 1 } LocalGet { local_index: 0 } Call { function_index: 2 } I32Add End";
        assert_eq!(operators[0], own);
        assert_eq!(operators[1].matches("MemoryGrow").count(), 1);
    }

    #[test]
    fn a_module_that_has_no_use_for_room_or_may_not_have_it_stays_as_it_is() {
        let grows = "(memory.grow (local.get 0))";
        assert!(with_room(&module("1 5", grows)).is_some());
        for (memory, body) in
            [("1", "(memory.size)"), ("1 4", grows), ("i64 1", "(i32.wrap_i64 (memory.grow (i64.const 1)))")]
        {
            assert_eq!(with_room(&module(memory, body)), None, "{memory}: {body}");
        }
        assert_eq!(with_room(b"no module"), None);
    }
}
