# memcpy and memmove are one routine. Forward copies are right unless the destination begins inside the source.
routine memcpy
routine memmove
    mov rax, rdi
    mov rcx, rdi
    sub rcx, rsi
    cmp rdx, 16
    jb 40f
    cmp rcx, rdx
    jb 30f
    cmp rdx, 512
    jae 20f
    # Forward, 16 bytes at a time. The last 16 are read first and written last.
    movups xmm1, [rsi + rdx - 16]
    lea r8, [rdi + rdx - 16]
10: movups xmm0, [rsi]
    movups [rdi], xmm0
    add rsi, 16
    add rdi, 16
    sub rdx, 16
    cmp rdx, 16
    ja 10b
    movups [r8], xmm1
    ret
20: mov rcx, rdx
    rep movsb
    ret
    # Backward. The first 16 are read first and written last.
30: movups xmm1, [rsi]
31: movups xmm0, [rsi + rdx - 16]
    movups [rdi + rdx - 16], xmm0
    sub rdx, 16
    cmp rdx, 16
    ja 31b
    movups [rdi], xmm1
    ret
    # Fewer than 16: two overlapping halves.
40: cmp rdx, 8
    jb 41f
    mov rcx, [rsi]
    mov r8, [rsi + rdx - 8]
    mov [rdi], rcx
    mov [rdi + rdx - 8], r8
    ret
41: cmp rdx, 4
    jb 42f
    mov ecx, [rsi]
    mov r8d, [rsi + rdx - 4]
    mov [rdi], ecx
    mov [rdi + rdx - 4], r8d
    ret
    # One to three: the first, the middle and the last.
42: test rdx, rdx
    jz 43f
    mov r10, rdx
    shr r10
    movzx ecx, byte ptr [rsi]
    movzx r9d, byte ptr [rsi + r10]
    movzx r8d, byte ptr [rsi + rdx - 1]
    mov [rdi], cl
    mov [rdi + r10], r9b
    mov [rdi + rdx - 1], r8b
43: ret

routine memset
    mov rax, rdi
    movzx esi, sil
    mov r8, 0x0101010101010101
    imul r8, rsi
    cmp rdx, 16
    jb 40f
    cmp rdx, 512
    jae 20f
    movq xmm0, r8
    punpcklqdq xmm0, xmm0
    lea rcx, [rdi + rdx - 16]
10: movups [rdi], xmm0
    add rdi, 16
    cmp rdi, rcx
    jb 10b
    movups [rcx], xmm0
    ret
20: mov r9, rax
    mov eax, r8d
    mov rcx, rdx
    rep stosb
    mov rax, r9
    ret
40: cmp rdx, 8
    jb 41f
    mov [rdi], r8
    mov [rdi + rdx - 8], r8
    ret
41: cmp rdx, 4
    jb 42f
    mov [rdi], r8d
    mov [rdi + rdx - 4], r8d
    ret
42: test rdx, rdx
    jz 43f
    mov [rdi], r8b
    mov [rdi + rdx - 1], r8b
    shr rdx
    mov [rdi + rdx], r8b
43: ret

routine bcmp
routine memcmp
    xor eax, eax
10: cmp rdx, 8
    jb 20f
    mov rcx, [rdi]
    mov r8, [rsi]
    cmp rcx, r8
    jne 30f
    add rdi, 8
    add rsi, 8
    sub rdx, 8
    jmp 10b
20: test rdx, rdx
    jz 21f
    movzx eax, byte ptr [rdi]
    movzx ecx, byte ptr [rsi]
    sub eax, ecx
    jne 21f
    inc rdi
    inc rsi
    dec rdx
    jmp 20b
21: ret
    # The first byte that differs decides: compare as big-endian numbers.
30: bswap rcx
    bswap r8
    cmp rcx, r8
    sbb eax, eax
    or eax, 1
    ret

routine strlen
    mov rax, rdi
10: cmp byte ptr [rax], 0
    je 20f
    inc rax
    jmp 10b
20: sub rax, rdi
    ret
