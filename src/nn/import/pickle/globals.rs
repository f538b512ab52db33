//! Which names a checkpoint may use: a few are understood, most are left alone, some stop the read.

use super::super::dtype::Dtype;
use super::super::error::shown;
use super::super::value::Opaque;
use super::cursor::Fault;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// `OrderedDict`, `dict`.
    Dict,
    /// `defaultdict`: its argument is a function, its entries follow.
    DefaultDict,
    List,
    Tuple,
    Set,
    /// `bytes`, `bytearray`.
    Bytes,
    /// `_codecs.encode`: how protocol 2 writes bytes.
    Encode,
    /// An object that is its attributes: `argparse.Namespace`.
    Namespace,
    /// `copyreg._reconstructor`: an object of the class that is the first argument.
    Reconstructor,
    /// `torch.device`.
    Device,
    /// `torch.FloatStorage` and its like: bytes of an element, and the type where we have it.
    Storage(usize, Option<Dtype>),
    /// `torch.float32` and its like.
    Dtype(Option<Dtype>),
    Rebuild(Rebuild),
    /// Anything else: neither called nor made.
    Other,
}

/// Torch's functions that put a tensor together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuild {
    /// `_rebuild_tensor` and `_rebuild_tensor_v2`: the storage has the type.
    Tensor,
    /// `_rebuild_tensor_v3`: the type is an argument.
    TensorWithDtype,
    /// A parameter is its tensor.
    Parameter,
    /// `_rebuild_from_type_v2`: one of the others, with attributes.
    FromType,
}

/// Modules that act on the machine, run or load code, or fetch. Their submodules too.
const DENIED_MODULES: &str = "\
    os posix posixpath nt ntpath sys subprocess _posixsubprocess runpy importlib _frozen_importlib \
    _frozen_importlib_external imp _imp pkgutil zipimport webbrowser socket _socket socketserver \
    shutil pickle _pickle cPickle marshal shelve dill cloudpickle ctypes _ctypes cffi codeop \
    pdb bdb pty popen2 multiprocessing asyncio timeit cProfile doctest urllib \
    urllib2 http httplib ftplib smtplib telnetlib xmlrpc requests pydoc pip setuptools distutils \
    venv ensurepip idlelib builtins __builtin__";

/// Submodules and functions of otherwise innocent modules that load, run or fetch, or reach from
/// data to code.
const DENIED_PATHS: &str = "\
    code.interact code.InteractiveInterpreter code.InteractiveConsole commands.getoutput \
    commands.getstatusoutput profile.run trace.Trace torch.load torch.hub torch.jit.load torch.package torch.compile torch.ops torch.classes \
    torch.serialization.load torch.serialization._load torch.serialization._legacy_load \
    torch.utils.cpp_extension torch.utils.collect_env torch.utils.model_zoo \
    torch.storage._load_from_bytes torch._dynamo torch._inductor torch.distributed.rpc \
    torch.multiprocessing numpy.load numpy.testing numpy.f2py numpy.distutils pandas.eval \
    pandas.read_pickle joblib.load operator.attrgetter operator.methodcaller _operator.attrgetter \
    _operator.methodcaller types.CodeType types.FunctionType types.LambdaType types.MethodType \
    types.ModuleType io.open io.FileIO _io.open _io.FileIO codecs.open";

/// Builtins that only make data, or are the types of data.
const BUILTIN_DATA: &str = "\
    bool bytearray bytes complex dict float frozenset int list long object range set slice str tuple \
    unicode xrange";

/// What `module.name` stands for.
///
/// # Errors
/// When it has no business in data.
pub fn known(module: &str, name: &str) -> Result<Known, Fault> {
    let builtin = matches!(module, "builtins" | "__builtin__");
    if builtin && has(BUILTIN_DATA, name) {
        return Ok(match name {
            "dict" => Known::Dict,
            "list" => Known::List,
            "tuple" => Known::Tuple,
            "set" | "frozenset" => Known::Set,
            "bytes" | "bytearray" => Known::Bytes,
            _ => Known::Other,
        });
    }
    if is_denied(module, name) {
        return Err(Fault::Denied(shown(&format!("{module}.{name}"))));
    }
    Ok(match (module, name) {
        ("collections", "OrderedDict") => Known::Dict,
        ("collections", "defaultdict") => Known::DefaultDict,
        ("_codecs", "encode") => Known::Encode,
        ("argparse", "Namespace") | ("types", "SimpleNamespace") => Known::Namespace,
        ("copyreg" | "copy_reg", "_reconstructor") => Known::Reconstructor,
        ("torch", "Size") => Known::Tuple,
        ("torch", "device") => Known::Device,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Known::Rebuild(Rebuild::Tensor),
        ("torch._utils", "_rebuild_tensor_v3") => Known::Rebuild(Rebuild::TensorWithDtype),
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            Known::Rebuild(Rebuild::Parameter)
        }
        ("torch._tensor", "_rebuild_from_type_v2") => Known::Rebuild(Rebuild::FromType),
        ("torch" | "torch.cuda" | "torch.storage", name) => torch_type(name),
        _ => Known::Other,
    })
}

fn is_denied(module: &str, name: &str) -> bool {
    let top = module.split('.').next().unwrap_or_default();
    let path = format!("{module}.{name}");
    let within =
        |denied| path.strip_prefix(denied).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    // A dotted name walks through attributes, so any of its parts may be an imported module.
    let mut parts = name.split('.');
    has(DENIED_MODULES, top)
        || DENIED_PATHS.split(' ').any(within)
        || (name.contains('.') && parts.any(|part| has(DENIED_MODULES, part) || part.starts_with("__")))
}

/// Whether one of the words is `word`.
fn has(words: &str, word: &str) -> bool {
    words.split(' ').any(|one| one == word)
}

fn torch_type(name: &str) -> Known {
    let storage = |bytes, dtype| Known::Storage(bytes, dtype);
    let typed = |dtype: Dtype| Known::Storage(dtype.size_bytes(), Some(dtype));
    match name {
        "DoubleStorage" => typed(Dtype::F64),
        "FloatStorage" => typed(Dtype::F32),
        "HalfStorage" => typed(Dtype::F16),
        "BFloat16Storage" => typed(Dtype::Bf16),
        "LongStorage" => typed(Dtype::I64),
        "IntStorage" => typed(Dtype::I32),
        "ShortStorage" => typed(Dtype::I16),
        "CharStorage" => typed(Dtype::I8),
        "ByteStorage" | "UntypedStorage" | "_UntypedStorage" => typed(Dtype::U8),
        "BoolStorage" => typed(Dtype::Bool),
        "ComplexDoubleStorage" => storage(16, None),
        "ComplexFloatStorage" => storage(8, None),
        "QInt32Storage" => storage(4, None),
        "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage" => storage(1, None),
        "float64" | "double" => Known::Dtype(Some(Dtype::F64)),
        "float32" | "float" => Known::Dtype(Some(Dtype::F32)),
        "float16" | "half" => Known::Dtype(Some(Dtype::F16)),
        "bfloat16" => Known::Dtype(Some(Dtype::Bf16)),
        "int64" | "long" => Known::Dtype(Some(Dtype::I64)),
        "int32" | "int" => Known::Dtype(Some(Dtype::I32)),
        "int16" | "short" => Known::Dtype(Some(Dtype::I16)),
        "int8" => Known::Dtype(Some(Dtype::I8)),
        "uint8" => Known::Dtype(Some(Dtype::U8)),
        "bool" => Known::Dtype(Some(Dtype::Bool)),
        "uint16" | "uint32" | "uint64" | "complex32" | "complex64" | "complex128" => Known::Dtype(None),
        _ => Known::Other,
    }
}

/// A class that stands for a whole number too large for us.
pub fn large_int() -> Opaque {
    Opaque { module: "builtins".into(), name: "int".into() }
}
