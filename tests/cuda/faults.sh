#!/bin/sh
# Plants one fault after another in a copy of cuda/, builds the file on the checked double, and asks that a
# family of kernels (scenario.lua) fails by the sentence that belongs to the fault. ctest plants the few whose
# names begin with +; `all` plants all of them, in some four minutes.
# usage: tests/cuda/faults.sh BUILD [all]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$(cd "$1" && pwd)
which=${2:-few}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
planted=0
objects=$build/tests/cuda/CMakeFiles
cuda=$(sed -n 's/^CUDAToolkit_BIN_DIR:[^=]*=\(.*\)\/bin$/\1/p' "$build/CMakeCache.txt")
cuda=${cuda:-/usr/local/cuda}
common="-O1 -g -march=x86-64-v3 -ftls-model=initial-exec -fPIC -fvisibility=hidden -ffp-contract=off
  -fno-math-errno -w -I$here/double"
rest="-I$root/runtime -isystem $cuda/include"
hooks="-fsanitize=thread --param tsan-instrument-func-entry-exit=0 -fno-tree-vectorize
  -fno-tree-slp-vectorize -fno-store-merging"

# Compiles $2, a file of the copy in folder $1, and links it with the other files' objects.
link() {
  case $2 in
    *.cu) g++ -std=c++17 $common -I"$1/cuda" $rest $hooks -x c++ -c "$1/cuda/$2" -o "$1/new.o" ;;
    *) gcc -std=gnu11 $common -I"$1/cuda" $rest -c "$1/cuda/$2" -o "$1/new.o" ;;
  esac
  others=$(find "$objects/double_checked.dir" "$objects/double_parts.dir" -name '*.o' ! -name "$2.o")
  g++ -shared -o "$1/libgalrun_cuda.so" "$1/new.o" $others -L"$cuda/lib64" -lcublasLt -Wl,--wrap=dlsym \
    -Wl,-rpath,"$cuda/lib64" -ldl
}

# try FOLDER NAME FILE FAMILY SENTENCE SED [COMPILED]: plant's fault in a folder of its own, which keeps a
# file `missed` where it is not caught by its sentence.
try() {
  mkdir "$1" && cp -r "$root/cuda" "$1/cuda" && touch "$1/missed"
  sed -i -E "$6" "$1/cuda/$3"
  if cmp -s "$root/cuda/$3" "$1/cuda/$3"; then
    echo "stale: $2: $3 has not the text that it changes" && return 0
  fi
  link "$1" "${7:-$3}"
  if GALRUN_TEST_DEVICE=$1/libgalrun_cuda.so timeout 120 "$build/galrun" --device cuda \
    "$here/scenario.lua" "$4" >"$1/log" 2>&1; then
    echo "missed: $2" && return 0
  fi
  if grep -qE "$5" "$1/log"; then
    rm "$1/missed"
  else
    echo "caught otherwise than by \"$5\": $2"
  fi
  echo "$2: $(grep -m1 -E "double:|scenario:|galrun:|[a-z]" "$1/log" | cut -c1-150)"
  rm -r "$1/cuda" "$1/new.o" "$1/libgalrun_cuda.so"
}

# plant NAME FILE FAMILY SENTENCE SED [COMPILED]: the fault, the family that shows it, and by which sentence.
# COMPILED: the file to compile where FILE is a header. Two faults are tried at once.
plant() {
  case $which$1 in few+*) ;; all*) ;; *) return 0 ;; esac
  planted=$((planted + 1))
  try "$work/$planted" "$@" >"$work/$planted.said" 2>&1 &
  [ $((planted % 2)) = 1 ] || wait
}

memory='double: .*((reads|writes) .*at byte|that nothing wrote)'
race='double: .*(: a race|that nothing wrote)'
off='scenario: .* is off by'
plant "+one element too far" launch.h map "$memory" 's/i < \(count\);/i <= (count);/' map.cu
plant "a stride of the wrong operand" map.cu map "$off|$memory" 's/at \* g\.bs\[d\]/at * g.as[d]/'
plant "+no barrier before the lanes' parts are read" reduce.cu reduce "$race" \
  '0,/^    __syncthreads\(\);$/{/^    __syncthreads\(\);$/d}'
plant "sixteen threads go on before the others" reduce.cu reduce "$race" \
  '/^        __syncwarp\(\);$/d;/lanes > 32 && threadIdx.x < 32/d'
plant "half a warp in a full shuffle" norm.cu norm 'waits for ever' \
  's/by > 0; by \/= 2\)$/by > 0 \&\& threadIdx.x % 32 < 16; by \/= 2)/'
plant "+arguments by a host pointer" flow.cu flow 'reads host memory' \
  's/mse_backward\(const __grid_constant__ gal_mse_args g\)/mse_backward(const gal_mse_args *p)/
    s/^    float scale = \(float\)\(2.0/    const gal_mse_args \&g = *p;\n&/
    s/(mse_backward, gal_grid\(g->count\), BLOCK, 0, )\*g/\1g/'
plant "the cursor moved on by every launch" flow.cu flow "$race|$off" \
  's/BLOCK, 0, \*g, one,/BLOCK, 0, *g, 1,/'
plant "no barrier before a block's sums are read" launch.h flow "$race" \
  '/^    __syncthreads\(\);$/d' flow.cu
plant "+the nearest overwritten before all have read it" kde.cu kde "$race" \
  "/the warps' nearest have been read/d"
plant "the point before still being read" kde.cu kde "$race" '/the point before this one has been read/d'
plant "votes overwritten" rows.cu rows "$race" '/votes may still be read/d'
plant "all rows taken for aligned" rows.cu rows 'not aligned' \
  's/all % 16 == 0 \? 16 : //
    s/all % 8 == 0 \? 8 : all % 4 == 0 \? 4 : 1/8/'
plant "no barrier between two steps of a sort" sort.cu sort "$race" '/^            __syncthreads\(\);$/d'
plant "the last key not stored" sort.cu sort "$off|nan" \
  's/GAL_EACH \(i, outer \* n\)/GAL_EACH (i, outer * n - 1)/'
plant "rows beyond the last one stored" product.cu product "$memory" 's/first_i \+ row < p\.g\.m && //'
plant "rows beyond the last one read" product.cu product "$memory|no device memory|no memory" \
  's/i < count_i && k < count_k \? //
    s/(from\[i \* step_i \+ k \* step_k\]) : 0;/\1;/'
plant "+a slab overwritten while it is read" product.cu product "$race" '/row \+= s.slab.a/{n;d}'
plant "a barrier that half of a block reaches" product.cu product 'waits for ever|two __syncthreads' \
  's/^        multiply_slab\(sum, s\);/        if (threadIdx.x < 128)\n            __syncthreads();\n&/'
plant "no barrier behind a layer's product" integrate.cu integrate "$race" \
  '/^        product\(g, w, t, layer\);/{n;d}'
plant "no barrier behind the inputs" integrate.cu integrate "$race" '/^            fill_inputs\(/{n;d}'
plant "a tile's arrays made too small" integrate.cu integrate 'byte [0-9]+ of shared memory' \
  's/g->method\.stages \+ 1\)/g->method.stages)/'
plant "shared memory above 48 KiB without the attribute" integrate.cu integrate 'integrate failed' \
  's/\(int\)device->shared\)/1024)/'
plant "+tensor cores: a tangent left out" integrate_mma.cu tensor "$off" \
  's/o == why\.direction \+ q - 1 \&\& o < d/q < 2 * M - 1 \&\& &/'
plant "tensor cores: the tangents of the last pass left out" integrate_mma.cu tensor "$off" \
  's/\(g->d \+ columns - 2\)/g->d/'
plant "tensor cores: words of a fragment exchanged" mma.h tensor "$off" \
  's/w\[0\] = gal_pack_##name\(z\[0\], z\[1\]\)/w[0] = gal_pack_##name(z[1], z[0])/' integrate_mma.cu
plant "tensor cores: TF32 in the order of 16 bits" mma.h tensor "$off" \
  's/, w\[1\] = gal_round_tf32\(z\[2\]\)/, w[1] = gal_round_tf32(z[1])/
    s/w\[2\] = gal_round_tf32\(z\[1\]\), w\[3\]/w[2] = gal_round_tf32(z[2]), w[3]/' integrate_mma.cu
plant "tensor cores: lanes name other rows of a slab" mma.h tensor "$off" \
  's/lane \/ 16 \* 8 : 0/lane \/ 8 % 2 * 8 : 0/
    s/lane \/ 8 % 2 \* 16/lane \/ 16 * 16/' integrate_mma.cu
plant "+tensor cores: no barrier before a slab is read" integrate_layer.h tensor "$race" \
  '/^    gal_await\(/d' integrate_mma.cu
plant "tensor cores: a slab not waited for" integrate_layer.h tensor "$race|has not waited for" \
  '/^    gal_copy_wait\(\);$/d' integrate_mma.cu
plant "tensor cores: a slab given up before its last chunk" integrate_layer.h tensor "$race" \
  's/tile \+ (1|2) == tiles/tile == 0/' integrate_mma.cu
plant "tensor cores: a warp that does not arrive" integrate_layer.h tensor 'waits for ever' \
  's/if \(lane_of\(\) == 0\)$/if (gal_thread() == 0)/' integrate_mma.cu
plant "tensor cores: a stage begun before all lanes have ended the last" integrate_mma.cu tensor "$race" \
  '/^        __syncwarp\(\);$/d'
plant "tensor cores: the context of another galaxy" integrate_layer.h tensor "$off|$race" \
  's/of_call \/ \(uint32_t\)w/(of_call + 1) \/ (uint32_t)w/' integrate_mma.cu
plant "tensor cores: the slope of another activation" mma.h tensor "$off" \
  's/\*slope = fmaf\(y, 1 - s, s\)/*slope = s * (1 - s)/' integrate_mma.cu
plant "tensor cores: the bias of other outputs" integrate_layer.h tensor "$off|$memory" \
  's/slab \+ outputs_of\(l, at\.from\) \* pitch/slab + l.each * pitch/' integrate_mma.cu
plant "cuBLASLt: alignment not told" cublas.c library 'chosen for alignment' \
  's/return 1u << .*/return p ? 256 : 1;/'
plant "cuBLASLt: a wrong leading dimension" cublas.c library "$off" 's/(b\.count), k->b\.lead/\1, k->b.side/'
plant "a synchronisation while captured" plan.c plan "a CUDA graph can't have" \
  's/^    return kernels\[call->op\]/    cudaStreamSynchronize(device->stream);\n&/'
plant "a replay too few" plan.c plan "$off" 's/i < times && status/i + 1 < times \&\& status/'
plant "scratch given back that a graph names" memory.c plan 'was freed' \
  's/while \(!device->plans && /while (/'
plant "lists of exchanges that were not emptied" random.cu random "$memory" \
  '/first\[p\] = 0;/d;/GAL_EACH \(p, n\)/d'
plant "exchanges before this one are followed" random.cu random "$off|waits|over" 's/k > before \&\& //'
plant "the host reads device memory" random.cu random 'host: touched device memory' \
  's/^    dim3 grid = gal_grid\(g->n\);/&\n    if (g->state[0] == 7)\n        return GAL_OK;/'
cudnn='double: .*cudnnBackendExecute'
plant "cuDNN: strides of 1" cudnn.c conv "$off|BAD_PARAM" 's/\{k->stride, k->stride\}/{1, 1}/'
plant "cuDNN: windows turned round" cudnn.c conv "$cudnn" 's/CUDNN_CROSS_CORRELATION/CUDNN_CONVOLUTION/'
plant "cuDNN: rows padded as columns are" cudnn.c conv "$off|BAD_PARAM" \
  's/before\[2\] = \{k->top, k->left\}/before[2] = {k->top, 0}/'
plant "+cuDNN: tensor cores in float32" cudnn.c conv "$off" 's/if \(k->precision == GAL_IN_F32\)/if (0)/'
plant "+cuDNN: a plan for each call" cudnn.c conv_plan "a CUDA graph can't have" \
  's/if \(!memcmp\(&p->key/if (0 \&\& !memcmp(\&p->key/'
plant "cuDNN: alignment not looked at" conv.c conv "$cudnn.*alignment" \
  's/return \(uint32_t\)\(all & -all\);/return 16 + 0 * (uint32_t)all;/'
plant "cuDNN: works where dz lies" conv.c conv "$off" \
  's/block \+ room\);/block);/;s/= block \+ to_room;/= block;/'
plant "+the bias added twice" conv_pass.cu conv "$off" \
  's/values\[v\] \+ bias\[v\], &slope\);/values[v] + 2 * bias[v], \&slope);/'
plant "the slope taken without the bias" conv_pass.cu conv "$off" \
  's/values\[v\] \+ bias\[v\], &slope\[v\]/values[v], \&slope[v]/'
plant "the gradient of pixels in no mean" conv_pass.cu conv_bf16 "$off|$memory" \
  's/bool used = .*/bool used = true;/'
plant "no barrier before the lanes' sums are read" conv_pass.cu conv "$race" \
  '/part.of\[threadIdx.x\] = total\[v\];/{n;d}'
plant "x kept where z lies" conv.c conv_bf16 "$off" 's/after\(g->slope, 2 \* n\.z\)/after(g->slope, n.z)/'
plant "dw not added to" conv_pass.cu conv_bf16 "$off|nothing wrote" \
  's/e\.dw_from && i < e\.dw_count/e.dw_from \&\& i + 1 < e.dw_count/'
plant "+a patch overwritten while it is read" conv_first.cu first "$race" '/the patch has been read/d'
plant "a tap of the next pixel" conv_first.cu first "$off" \
  's/i % row \/ c\) \* CHANNELS/i % row \/ c + 1) * CHANNELS/'
plant "a warp's sums left out" conv_first.cu first "$off" \
  's/for \(int warp = 0; warp < WARPS/for (int warp = 0; warp < WARPS - 1/'
plant "means beyond the edge" conv_first.cu first "$off|$race" 's/return r < yh && c < yw \?/return true ?/'
plant "a window too few for a pixel" pool.cu pool "$off" \
  's/\(pixel - window\) \/ stride \+ 1/(pixel - window) \/ stride + 2/'
plant "a turn that mirrors nothing" images.cu images "$off|$memory" 's/turn & 4 \? -pixel : pixel/pixel/'
plant "no turns" images.cu images "$off" 's/g\.turns \? g\.turns\[row\] & 7 : 0/0/'
wait
for n in $(seq $planted); do
  cat "$work/$n.said"
done
missed=$(find "$work" -maxdepth 2 -name missed | wc -l)
if [ $missed = 0 ]; then
  echo "$planted faults, each caught by its sentence"
else
  echo "$missed of $planted faults missed, stale, or caught otherwise" && exit 1
fi
