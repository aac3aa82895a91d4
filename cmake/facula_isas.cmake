# The instruction sets that the CPU kernels are compiled for: facula_isas, best first, and facula_isa_flags_<isa>.

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
    set(facula_isas avx512 avx2 portable)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$")
    set(facula_isas neon portable)
else()
    set(facula_isas portable)
endif()
# Fuzzers read files and compute next to nothing: most of the build for them would be kernels.
if(FACULA_FUZZ)
    set(facula_isas portable)
    target_compile_definitions(facula_options INTERFACE FA_PORTABLE_ONLY=1)
endif()
set(facula_isa_flags_avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mavx2)
set(facula_isa_flags_avx2 -mavx2 -mfma)
set(facula_isa_flags_neon)
set(facula_isa_flags_portable)
