// Replays golden/stimulus.bin through the design in any simulator of Verilog-2005, Icarus say, and writes a
// line for whatever leaves: sim/replay.cpp compares those lines with the golden spikes.
//
//   vvp icarus.vvp +stimulus=FILE +log=FILE [+samples=N], in the folder of the .mem files
//
//   S samples    B cycle: the first word was taken    T cycle population data: a spike or marker
//   O cycle last word: an output    X cycle: an undefined control signal    D cycle words: nothing moves
`timescale 1ns / 1ns
`default_nettype none
module nchw_bench;
    `include "taps.vh"  // WORD_BITS, OUTPUT_SPIKES, WATCHDOG, and the task look_at_taps

    reg clk = 0, rst = 1, valid = 0, last = 0, begun = 0, taken;
    reg [WORD_BITS-1:0] word = 0;
    wire ready, out_valid, out_last;
    wire [WORD_BITS-1:0] out_word;
    reg [8*1024-1:0] path;
    reg [63:0] number, next, first_word;
    integer words, ends, log, octet, i;
    integer cycle = 0, moved = 0, sent = 0, end_of_packet = 0, packet = 0, ended = 0, samples, wanted;

    nchw_top core (
        .clk(clk),
        .rst(rst),
        .s_axis_tdata(word),
        .s_axis_tkeep({WORD_BITS / 8{1'b1}}),
        .s_axis_tlast(last),
        .s_axis_tvalid(valid),
        .s_axis_tready(ready),
        .m_axis_tdata(out_word),
        .m_axis_tlast(out_last),
        .m_axis_tvalid(out_valid),
        .m_axis_tready(1'b1)
    );

    // The next little-endian number of `bytes` bytes of a file.
    task read(input integer file, input integer bytes);
        begin
            number = 0;
            for (i = 0; i < bytes; i = i + 1) begin
                octet = $fgetc(file);
                if (octet < 0) begin
                    $display("the stimulus is truncated");
                    $finish;
                end
                number[8*i +: 8] = octet;
            end
        end
    endtask

    // Beside the highest bit of a marker nothing counts, and nothing need be defined.
    task look(input integer population, input seen, input [63:0] data, input integer bits);
        begin
            if (seen) begin
                if (data[bits-1]) data = 64'd1 << (bits - 1);
                $fwrite(log, "T %0d %0d %0h\n", cycle, population, data);
                moved = cycle;
            end
            if (seen === 1'bx) $fwrite(log, "X %0d\n", cycle);
        end
    endtask

    task offer;
        begin
            if (sent == end_of_packet) begin
                read(ends, 8);
                end_of_packet = number;
                packet = packet + 1;
            end
            read(words, WORD_BITS / 8);
            sent = sent + 1;
            word = number[WORD_BITS-1:0];
            last = sent == end_of_packet;
            valid = 1;
        end
    endtask

    // Drive, settle, look at every transfer of this cycle, then the rising edge.
    task run_cycle;
        begin
            if (!valid && (packet < samples || sent < end_of_packet)) offer;
            #1 taken = valid && ready;
            if ((valid ? ready : 1'b0) === 1'bx || out_valid === 1'bx) $fwrite(log, "X %0d\n", cycle);
            if (taken) begin
                if (!begun) $fwrite(log, "B %0d\n", cycle);
                begun = 1;
                moved = cycle;
            end
            if (out_valid) begin
                number = out_word;
                if (OUTPUT_SPIKES && out_word[WORD_BITS-1]) number = 64'd1 << (WORD_BITS - 1);
                $fwrite(log, "O %0d %0d %0h\n", cycle, out_last, number);
                moved = cycle;
                if (out_last) ended = ended + 1;
            end
            look_at_taps;
            clk = 1;
            #1 clk = 0;
            if (taken) valid = 0;
            cycle = cycle + 1;
        end
    endtask

    initial begin
        if (!$value$plusargs("stimulus=%s", path)) $finish;
        words = $fopen(path, "rb");
        ends = $fopen(path, "rb");
        if (!$value$plusargs("log=%s", path)) $finish;
        log = $fopen(path, "w");
        read(words, 8);
        read(words, 4);
        read(words, 4);
        samples = number;
        if ($value$plusargs("samples=%d", wanted) && wanted < samples) samples = wanted;
        first_word = 24 + 8 * number;
        if ($fseek(words, first_word, 0) != 0 || $fseek(ends, 24, 0) != 0) $finish;
        $fwrite(log, "S %0d\n", samples);
        repeat (8) begin
            #1 clk = 1;
            #1 clk = 0;
        end
        rst = 0;
        while (ended < samples && cycle - moved <= WATCHDOG) run_cycle;
        if (ended < samples) $fwrite(log, "D %0d %0d\n", cycle, sent);
        else repeat (1000) run_cycle;  // nothing may follow the last inference
        $fclose(log);
        $finish;
    end
endmodule
`default_nettype wire
