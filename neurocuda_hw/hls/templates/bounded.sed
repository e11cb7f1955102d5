# nchw_top.cpp for a bounded C simulation: every FIFO gets its declared depth, every process a thread.
s/^#pragma HLS STREAM variable=\([A-Za-z0-9_]*\) depth=\([0-9]*\)$/    \1.bound(\2);/
/^void nchw_top(/,/^}/{
s/^    \([a-z][A-Za-z0-9_]*\)\((.*)\);$/    nchw_process("\1", [\&] { \1\2; });/
s/^}$/    nchw_join(); }/
}
